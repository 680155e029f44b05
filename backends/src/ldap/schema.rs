//! The native schema and the entries that must be there, as text for people to read and servers to load.

use qmail_lookup_core::TableOptions;

/// For slapd.conf.
const CONF: &str = include_str!("schema/qmail-lookup.schema");
/// For cn=config.
const CONFIG: &str = include_str!("schema/qmail-lookup.ldif");
/// The entries below which the rows are kept.
const BASE: &str = include_str!("schema/base.ldif");

const CONF_HEAD: &str = "\
# Three parts. Take part 1 or part 2, whichever way the server is configured, and then part 3.
#
# ---- Part 1: a server with slapd.conf. Save as qmail-lookup.schema, and write into slapd.conf:
#        include /etc/ldap/schema/qmail-lookup.schema
#      and into the section of the database:
#        index objectClass eq
#        index qlookUser,qlookAlias,qlookVirtualHost,qlookVirtualUser,qlookRcptHost eq
#        index qlookVirtualPattern pres,eq
#      With qmail-ldap's or posixAccount entries also:
#        index uid,mail,mailAlternateAddress eq
#      After adding an index to a database that has entries: stop slapd, run slapindex, start slapd.
#      Whole tables are read page by page; with more entries than the server's size limit (500 by default) also:
#        limits dn.exact=\"cn=qmail,dc=example,dc=org\" size.soft=unlimited size.hard=unlimited size.prtotal=unlimited

";

const CONFIG_HEAD: &str = "
# ---- Part 2: a server with cn=config. Save as qmail-lookup.ldif, and load it:
#        ldapadd -Y EXTERNAL -H ldapi:/// -f qmail-lookup.ldif
#      and the indexes with ldapmodify, with the database's own name in place of {1}mdb:
#        dn: olcDatabase={1}mdb,cn=config
#        changetype: modify
#        add: olcDbIndex
#        olcDbIndex: qlookUser,qlookAlias,qlookVirtualHost,qlookVirtualUser,qlookRcptHost eq
#        olcDbIndex: qlookVirtualPattern pres,eq
#        -
#        add: olcLimits
#        olcLimits: dn.exact=\"cn=qmail,dc=example,dc=org\" size.soft=unlimited size.hard=unlimited size.prtotal=unlimited
#      olcDbIndex objectClass eq is there by default; with qmail-ldap's or posixAccount entries also
#        olcDbIndex: uid,mail,mailAlternateAddress eq

";

const BASE_HEAD: &str = "
# ---- Part 3: the base entries, below an entry that is there already. Put its name in place of dc=example,dc=org, save
#      as base.ldif, and load it: ldapadd -D BINDDN -W -f base.ldif
#      `qmail-lookup init` makes them as well.

";

/// The schema for slapd.conf and for cn=config, with the indexes, and the base entries as LDIF. The options are those
/// of tables; here names may have 128 bytes, and there is always a number for order.
pub(super) fn schema(_: TableOptions) -> String {
    [CONF_HEAD, CONF, CONFIG_HEAD, CONFIG, BASE_HEAD, BASE].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ldap::entry;
    use qmail_lookup_core::Table;

    #[test]
    fn both_forms_define_what_rows_are_kept_in_and_the_head_lists_what_to_index() {
        // Unfolded, as a server reads it.
        let config = CONFIG.replace("\n ", "");
        for table in Table::ALL {
            let wanted = entry::attributes_of(table).iter().filter(|name| name.starts_with("qlook"));
            for name in wanted.chain(entry::classes(table)) {
                let definition = format!("NAME '{name}'");
                assert!(CONF.contains(&definition) && config.contains(&definition), "{name}");
            }
            assert!(BASE.contains(&format!("dn: ou={table},dc=example,dc=org\n")), "{table}");
        }
        for index in [
            "index qlookUser,qlookAlias,qlookVirtualHost,qlookVirtualUser,qlookRcptHost eq",
            "olcDbIndex: qlookVirtualPattern pres,eq",
        ] {
            assert!(schema(TableOptions::default()).contains(index), "{index}");
        }
    }
}
