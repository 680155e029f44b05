//! Searches over a connection: whole, or an error.

use super::connection::Connection;
use super::error::{Context, failure, rc};
use super::rows::Entry;
use crate::workers::Failure;
use ldap3::adapters::{Adapter, EntriesOnly};
use ldap3::{DerefAliases, LdapError, LdapResult, Scope, SearchOptions};
use qmail_lookup_core::ErrorKind;

/// One search, below a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) base: String,
    pub(super) filter: String,
    pub(super) attributes: Vec<String>,
    /// One entry is enough.
    pub(super) one: bool,
}

impl Connection {
    /// Runs one search and returns all its entries. Whatever makes the answer incomplete is an error: a limit, a
    /// reference to another server, a missing base.
    pub(super) async fn search(&self, search: &Search, at: &Context) -> Result<Vec<Entry>, Failure> {
        self.search_scope(search, Scope::Subtree, at).await
    }

    /// The same in another scope.
    pub(super) async fn search_scope(
        &self,
        search: &Search,
        scope: Scope,
        at: &Context,
    ) -> Result<Vec<Entry>, Failure> {
        let doing = "searching";
        let mut ldap = self.ldap.clone();
        let options = SearchOptions::new().deref(DerefAliases::Never).sizelimit(i32::from(search.one));
        ldap.with_search_options(options);
        let adapters: Vec<Box<dyn Adapter<_, _>>> = vec![Box::new(EntriesOnly::new())];
        let stream =
            ldap.streaming_search_with(adapters, &search.base, scope, &search.filter, search.attributes.clone());
        let mut stream = stream.await.map_err(|error| failure(error, doing, at))?;
        let mut entries = Vec::new();
        while let Some(entry) = stream.next().await.map_err(|error| failure(error, doing, at))? {
            let read = Entry::read(entry).ok_or_else(|| {
                Failure::Lost(at.error(ErrorKind::Unreachable, "the server sent something that is no entry"))
            })?;
            entries.push(read);
        }
        let result = stream.finish().await;
        self.line.has_answered();
        if search.one && result.rc == rc::SIZE_LIMIT && !entries.is_empty() {
            return Ok(entries);
        }
        if !result.refs.is_empty() {
            let referral = LdapResult { rc: rc::REFERRAL, ..result };
            return Err(failure(LdapError::from(referral), doing, at));
        }
        match result.success() {
            Ok(_) => Ok(entries),
            Err(LdapError::LdapResult { result }) if result.rc == rc::NO_SUCH_OBJECT => {
                let what = format!("base {} is missing or hidden", search.base);
                let error = at.error(ErrorKind::Schema, what);
                Err(Failure::Answered(error.with_help("create the entry, or let the account read it, or correct base")))
            }
            Err(error) => Err(failure(error, doing, at)),
        }
    }

    /// True if the server answers.
    pub(super) async fn answers(&self) -> bool {
        let root = Search {
            base: String::new(),
            filter: "(objectClass=*)".to_owned(),
            attributes: vec!["1.1".to_owned()],
            one: false,
        };
        let mut ldap = self.ldap.clone();
        let asked = ldap.search(&root.base, Scope::Base, &root.filter, &root.attributes).await;
        let alive = asked.is_ok_and(|result| result.1.rc == 0);
        if alive {
            self.line.has_answered();
        }
        alive
    }
}
