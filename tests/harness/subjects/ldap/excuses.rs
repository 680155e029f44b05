//! Cases that other people's schemas have no way to say, by name and reason.

/// Some cases of one area, for one reason.
pub(super) struct Excuse {
    pub(super) area: &'static str,
    pub(super) why: &'static str,
    pub(super) sentences: &'static [&'static str],
}

/// Where the directory itself decides about passwords.
pub(super) const BIND: &[Excuse] = &[
    Excuse {
        area: "authenticator",
        why: "slapd has no scheme {MYSQL}, so it refuses such a bind",
        sentences: &["mysql_passwords_are_verified", "old_mysql_passwords_are_verified"],
    },
    Excuse {
        area: "authenticator",
        why: "slapd takes a value without {SCHEME} for plain text, even a hash",
        sentences: &["a_hash_is_no_password"],
    },
];

/// What holds for every directory.
pub(super) const ANY: &[Excuse] = &[Excuse {
    area: "catalog",
    why: "a directory counts all of its changes, those of other tables and bases too",
    sentences: &["a_stamp_stays_as_it_is_while_its_tables_do"],
}];

/// Neither qmail-ldap's schema nor RFC 2307's can say these.
pub(super) const BOTH: &[Excuse] = &[
    Excuse {
        area: "mailbox",
        why: "attribute homeDirectory is ASCII",
        sentences: &[
            "a_home_in_another_script_comes_back_as_stored",
            "a_home_with_an_umlaut_comes_back_in_the_bytes_of_its_column",
        ],
    },
    Excuse {
        area: "alias",
        why: "no attribute for an extension of a mailbox",
        sentences: &[
            "a_backslash_in_a_key_is_a_value",
            "a_bogus_row_comes_back_as_stored",
            "a_bogus_row_hides_no_good_one",
            "a_cell_that_says_null_is_not_null",
            "a_key_that_is_absent_hides_none_that_is_there",
            "a_newline_comes_back_as_stored",
            "a_percent_sign_in_a_key_is_no_wildcard",
            "a_quote_in_a_key_is_a_value",
            "a_set_comes_back_whole",
            "a_set_of_a_thousand_rows_comes_back_whole",
            "an_alias_asked_in_upper_case_is_found",
            "an_alias_stored_in_upper_case_is_found",
            "an_extension_of_128_bytes_is_found",
            "an_instruction_of_500_bytes_is_not_cut",
            "an_owner_stored_in_upper_case_is_found",
            "an_umlaut_comes_back_in_the_bytes_of_its_column",
            "an_underscore_in_a_key_is_no_wildcard",
            "another_script_comes_back_as_stored",
            "digits_are_not_numbers",
            "duplicate_rows_all_come_back",
            "exact_and_catch_all_are_answered_by_one_call",
            "keys_are_pairs_not_a_cross_product",
            "many_keys_are_answered_by_one_call",
            "quotes_and_backslashes_come_back_as_stored",
            "the_catch_all_is_a_key_like_any_other",
            "the_rows_of_a_key_are_found",
            "trailing_blanks_of_an_instruction_are_kept",
        ],
    },
    Excuse {
        area: "virtual",
        why: "no attribute for a pattern, an extension or an owner that is no mailbox",
        sentences: &[
            "a_magic_forward_comes_back_as_stored",
            "a_row_stored_in_upper_case_is_found",
            "a_suffix_host_is_a_key_like_any_other",
            "a_thousand_patterns_come_back_whole",
            "a_thousand_users_of_one_host_are_told_apart",
            "an_exact_key_with_a_percent_sign_is_no_wildcard",
            "an_exact_key_with_an_underscore_is_no_wildcard",
            "any_beside_an_exact_key_hides_it_not",
            "any_finds_a_host_of_a_thousand_rows",
            "any_finds_a_host_stored_in_upper_case",
            "any_finds_a_host_with_a_pattern",
            "any_finds_a_suffix_host",
            "any_of_several_hosts_finds_each",
            "exact_and_blank_are_answered_by_one_call",
            "identical_rows_all_come_back",
            "patterns_and_exact_are_answered_by_one_call",
            "patterns_are_every_row_with_a_wildcard",
            "punctuation_in_a_user_is_a_value",
            "several_hosts_are_answered_by_one_call",
            "the_empty_user_finds_the_blank_row",
        ],
    },
    Excuse {
        area: "rcpthosts",
        why: "accepted domains are not in the directory",
        sentences: &[
            "a_host_asked_in_upper_case_is_found",
            "a_host_in_punycode_is_found",
            "a_host_of_255_bytes_is_found",
            "a_host_stored_in_upper_case_is_found",
            "a_host_that_is_there_is_found",
            "a_suffix_is_a_key_like_any_other",
            "an_address_literal_is_a_host_like_any_other",
            "an_underscore_is_no_wildcard",
            "host_and_suffixes_are_answered_by_one_call",
            "many_hosts_are_answered_by_one_call",
            "punctuation_is_a_value",
        ],
    },
    Excuse {
        area: "backend",
        why: "some columns have no attribute",
        sentences: &["facts_name_every_documented_column_of_a_table"],
    },
];

/// What is left for qmail-ldap.
pub(super) const QMAIL_LDAP: &[Excuse] = &[Excuse {
    area: "alias",
    why: "no alias but the mailbox's own delivery",
    sentences: &["an_address_is_an_alias_like_any_other"],
}];

/// What is left for RFC 2307.
pub(super) const POSIX: &[Excuse] = &[
    Excuse {
        area: "alias",
        why: "a mailbox's own delivery is not in the directory",
        sentences: &["the_empty_extension_finds_the_blank_row"],
    },
    Excuse {
        area: "authenticator",
        why: "no attribute says that an account is suspended",
        sentences: &["a_suspended_mailbox_is_refused"],
    },
    Excuse {
        area: "mailbox",
        why: "no attribute says that an account is suspended",
        sentences: &["a_column_that_the_table_lacks_is_null", "suspended_comes_back_as_stored"],
    },
    Excuse {
        area: "virtual",
        why: "virtual hosts are not in the directory",
        sentences: &[
            "a_user_asked_in_upper_case_is_found",
            "an_underscore_in_a_host_is_no_wildcard",
            "any_finds_a_host_with_a_blank_row",
            "any_finds_a_host_with_exact_rows",
            "digits_are_not_numbers",
            "rows_that_contradict_each_other_all_come_back",
            "the_blank_row_is_a_pattern",
            "the_row_of_an_exact_key_is_found",
        ],
    },
];
