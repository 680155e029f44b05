//! A search that is read page by page (RFC 2696), so that it may find more entries than the server gives at once.
//!
//! It ends well or not at all: any result but success, a reference to another server and a broken connection are
//! errors, also on the last page.

use super::entry::Attributes;
use super::error::{Context, lookup_error, of_result, rc};
use super::mapping::Place;
use ldap3::controls::{Control, ControlType, PagedResults, RawControl};
use ldap3::{Ldap, LdapError, LdapResult, Scope};
use qmail_lookup_core::{ErrorKind, LookupError};

/// Entries of a page. Servers refuse larger ones; 500 is OpenLDAP's own limit unless it was changed.
const PAGE: i32 = 500;

/// Why a search could not be read to its end.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection broke, or nothing came in time.
    Driver(LdapError),
    /// The server said so.
    Result(LdapResult),
    /// Some of it is on another server.
    Reference,
    /// The server sent what is no entry.
    Malformed,
}

impl From<LdapError> for Trouble {
    fn from(error: LdapError) -> Self {
        match error {
            LdapError::LdapResult { result } => Self::Result(result),
            error => Self::Driver(error),
        }
    }
}

impl Trouble {
    /// The error for everybody above. `doing` completes "while ...".
    pub(super) fn into_error(self, doing: &str, base: &str, at: &Context) -> LookupError {
        match self {
            Self::Driver(error) => lookup_error(error, doing, at),
            Self::Result(result) if result.rc == rc::NO_SUCH_OBJECT => missing(base, at),
            Self::Result(result) if matches!(result.rc, rc::SIZE_LIMIT | 11) => {
                let who = at.bind_dn.as_deref().unwrap_or("anonymous");
                of_result(&result, doing, at).with_help(format!(
                    "also a table that is read in pages is limited; slapd: limits dn.exact=\"{who}\" \
                     size.soft=unlimited size.hard=unlimited size.prtotal=unlimited"
                ))
            }
            Self::Result(result) => of_result(&result, doing, at),
            Self::Reference => of_result(&referral(), doing, at),
            Self::Malformed => at.error(ErrorKind::Unreachable, "the server sent something that is no entry"),
        }
    }
}

fn referral() -> LdapResult {
    LdapResult { rc: rc::REFERRAL, matched: String::new(), text: String::new(), refs: Vec::new(), ctrls: Vec::new() }
}

/// The entry below which the rows of a table are kept is not there.
pub(super) fn missing(base: &str, at: &Context) -> LookupError {
    let error = at.error(ErrorKind::Schema, format!("base {base} is missing or hidden"));
    error
        .with_help("`qmail-lookup init` makes the base entries of the tables; the account must be allowed to read them")
}

/// A filter for the entries of a table, of which `keys`, filters too, leaves some.
pub(super) fn class_filter(place: &Place<'_>, keys: &str) -> String {
    format!("(&(objectClass={}){}{keys})", place.class, place.filter.unwrap_or_default())
}

/// An entry that was found: its DN and attributes.
pub(super) type Found = (String, Attributes);

/// A search of a subtree under way.
pub(super) struct Pages {
    ldap: Ldap,
    base: String,
    filter: String,
    attributes: Vec<String>,
    /// Where the server goes on; `None` at the end.
    cookie: Option<Vec<u8>>,
}

impl Pages {
    /// A search that has not begun. Values in `filter` are escaped.
    pub(super) fn new<'a>(
        ldap: Ldap,
        base: &str,
        filter: String,
        attributes: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let attributes = attributes.into_iter().map(str::to_owned).collect();
        Self { ldap, base: base.to_owned(), filter, attributes, cookie: Some(Vec::new()) }
    }

    /// The next page, which may be empty; `None` once everything was read.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Found>>, Trouble> {
        let Some(cookie) = self.cookie.clone() else { return Ok(None) };
        let control = RawControl::from(PagedResults { size: PAGE, cookie });
        let ldap = self.ldap.with_controls(vec![control]);
        let mut stream = ldap.streaming_search(&self.base, Scope::Subtree, &self.filter, &self.attributes).await?;
        let mut page = Vec::new();
        while let Some(entry) = stream.next().await? {
            if entry.is_ref() {
                return Err(Trouble::Reference);
            }
            if !entry.is_intermediate() {
                page.push(Attributes::read(entry).ok_or(Trouble::Malformed)?);
            }
        }
        let result = stream.finish().await;
        if result.rc != 0 {
            return Err(Trouble::Result(result));
        }
        if !result.refs.is_empty() {
            return Err(Trouble::Reference);
        }
        // A server that knows no pages sends everything, and no control.
        self.cookie = result.ctrls.iter().find_map(|control| match control {
            Control(Some(ControlType::PagedResults), raw) => {
                Some(raw.parse::<PagedResults>().cookie).filter(|cookie| !cookie.is_empty())
            }
            _ => None,
        });
        Ok(Some(page))
    }

    /// Everything that is left.
    pub(super) async fn all(mut self) -> Result<Vec<Found>, Trouble> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page);
        }
        Ok(all)
    }
}
