//! The rows of a file of mysqldump or mariadb-dump, statement by statement.
