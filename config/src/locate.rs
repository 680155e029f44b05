//! Line and column of a key path in a TOML file.

use toml_edit::{Document, Item};

/// Where `path` (`rules.deny_uids[2]`) is written: its key, or the deepest table on the way to it that is there.
pub(crate) fn locate(document: &Document<String>, path: &str) -> Option<(usize, usize)> {
    let mut item: &Item = document.as_item();
    let mut offset = None;
    for step in path.split('.') {
        let (name, indices) = step.split_once('[').unwrap_or((step, ""));
        let Some(table) = item.as_table_like() else { break };
        let (Some(key), Some(next)) = (table.key(name), table.get(name)) else { break };
        offset = key.span().map(|span| span.start).or(offset);
        item = next;
        let index = indices.split_once(']').and_then(|(index, _)| index.parse::<usize>().ok());
        if let Some(element) = index.and_then(|index| item.as_array()?.get(index)) {
            offset = element.span().map(|span| span.start).or(offset);
        }
    }
    offset.map(|offset| line_column(document.raw(), offset))
}

/// Line and column (in characters, both from 1) of a byte offset.
pub(crate) fn line_column(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_every_way_of_writing_tables() {
        let source = "qmail = \"/ü\"\n[store]\n  kind = \"x\"\nservers = [\n 'a',\n 'b']\nmailbox.path = 1\n\
                      [store.alias]\npath = 2\n[rules]\n\"break\" = '-'\ninline = { a = { b = 1 } }\n";
        let document = Document::parse(source.to_owned()).unwrap();
        for (path, expected) in [
            ("qmail", Some((1, 1))),
            ("store", Some((2, 2))),
            ("store.kind", Some((3, 3))),
            ("store.servers[1]", Some((6, 2))),
            ("store.servers[7]", Some((4, 1))),
            ("store.mailbox.path", Some((7, 9))),
            ("store.alias", Some((8, 8))),
            ("store.alias.path", Some((9, 1))),
            ("store.alias.missing", Some((8, 8))),
            ("rules.break", Some((11, 1))),
            ("rules.inline.a.b", Some((12, 18))),
            ("nowhere.at.all", None),
        ] {
            assert_eq!(locate(&document, path), expected, "{path}");
        }
    }
}
