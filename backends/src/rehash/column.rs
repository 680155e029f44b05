//! What a column can hold, by its declared type.

/// True if a column `declared` so by a store of `kind` is known to hold `length` ASCII characters; `word` is what they
/// are, if that is known.
pub(super) fn holds(kind: &str, declared: &str, length: usize, word: Option<&str>) -> bool {
    match kind {
        // Declared widths mean nothing to them, and what a CHECK refuses is not written. An attribute of a directory is
        // as wide as it has to be.
        "sqlite" | "memory" | "ldap" => true,
        _ => holds_declared(declared, length, word),
    }
}

/// The types of MySQL. What is not known holds nothing.
fn holds_declared(declared: &str, length: usize, word: Option<&str>) -> bool {
    let name = declared.split(['(', ' ']).next().unwrap_or_default().to_ascii_lowercase();
    let argument = declared.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map(|(inner, _)| inner);
    let width = argument.and_then(|text| text.trim().parse::<usize>().ok());
    match name.as_str() {
        "varchar" | "char" | "varbinary" => width.is_some_and(|width| width >= length),
        // It is filled up with NULs.
        "binary" => width == Some(length),
        "tinytext" | "tinyblob" => length <= 255,
        "text" | "mediumtext" | "longtext" | "blob" | "mediumblob" | "longblob" => true,
        "enum" => {
            let mut words = argument.unwrap_or_default().split(',').map(|one| one.trim().trim_matches('\''));
            word.is_some_and(|word| words.any(|one| one.eq_ignore_ascii_case(word)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_holds_what_its_type_says() {
        let cases = [
            ("varchar(255) collate utf8mb4_bin", true),
            ("varchar(120)", true),
            ("VARCHAR(119) collate latin1_swedish_ci", false),
            ("char(41)", false),
            ("char(255) collate ascii_bin", true),
            ("varbinary(128)", true),
            ("binary(128)", false),
            ("binary(120)", true),
            ("tinytext collate utf8mb4_general_ci", true),
            ("text", true),
            ("longblob", true),
            ("enum('a','b')", false),
            ("set('a')", false),
            ("int(11)", false),
            ("varchar", false),
            ("varchar(x)", false),
            ("", false),
        ];
        for (declared, expected) in cases {
            assert_eq!(holds("mysql", declared, 120, None), expected, "{declared}");
        }
    }

    #[test]
    fn an_enum_holds_its_words() {
        let word = Some("Crypt-Password");
        let cases = [
            ("enum('Password','Crypt-Password','MySQL-Password') collate ascii_general_ci", true),
            ("enum('password','crypt-password')", true),
            ("enum('Password','MySQL-Password')", false),
            ("varchar(14)", true),
            ("varchar(13)", false),
        ];
        for (declared, expected) in cases {
            assert_eq!(holds("mysql", declared, 14, word), expected, "{declared}");
        }
    }

    #[test]
    fn declared_widths_mean_nothing_to_sqlite() {
        for declared in ["varchar(20)", "", "TEXT"] {
            assert!(holds("sqlite", declared, 120, None), "{declared}");
        }
    }
}
