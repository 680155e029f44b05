CREATE TABLE `mailbox` (
  `username` varchar(32) NOT NULL,
  `uid` int(10) unsigned NOT NULL,
  `gid` int(10) unsigned NOT NULL,
  `home` varchar(255) NOT NULL,
  `password` varchar(255) NOT NULL DEFAULT '',
  `password_type` enum('Password','Crypt-Password','MySQL-Password') NOT NULL DEFAULT 'Password',
  `suspended` enum('N','Y') NOT NULL DEFAULT 'N',
  `comment` varchar(64) DEFAULT 'none',
  `upper_home` varchar(255) GENERATED ALWAYS AS (ucase(`home`)) STORED,
  PRIMARY KEY (`username`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `alias` (
  `username` varchar(32) NOT NULL,
  `alias` varchar(32) NOT NULL DEFAULT '',
  `alias_username` varchar(64) NOT NULL DEFAULT '',
  `alias_host` varbinary(255) NOT NULL DEFAULT ''
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `virtual` (
  `username` varchar(32) NOT NULL,
  `ext` varchar(32) NOT NULL DEFAULT '',
  `virtual_username` varchar(32) NOT NULL DEFAULT '',
  `virtual_host` varchar(64) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `rcpthosts` (
  `host` varchar(64) NOT NULL,
  PRIMARY KEY (`host`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `log` (`id` int(11) NOT NULL AUTO_INCREMENT, `what` longtext, PRIMARY KEY (`id`)) ENGINE=InnoDB;
INSERT INTO `mailbox` (username, uid, gid, home, password, password_type, suspended, comment) VALUES
  ('iain', 1001, 1002, '/home/mail/ia''in \\ "x";-- no', 'it''s a \\secret"; -- /* x */', 'Password', 'N', 'none'),
  ('crypted', 1001, 1002, '/home/mail/crypted', '$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1', 'Crypt-Password', 'Y', 'a colleague'),
  ('old', 1001, 1002, '/home/mail/ä', '*14E65567ABDB5135D0CFD9A70B3032C179A49EE7', 'MySQL-Password', 'N', NULL);
INSERT INTO `alias` VALUES ('iain', 'list', '|', 'prog \'a b\' "c";'), ('iain', 'list', '.', '/Maildir/'),
  ('iain', 'raw', '/', X'746d702ffe27'), ('iain', '', 'two', 'example.org');
INSERT INTO `virtual` VALUES ('iain', '@', '', 'virtual.test');
INSERT INTO `rcpthosts` VALUES ('virtual.test'), ('.wild.test');
INSERT INTO `log` (what) VALUES ('x'), (REPEAT('long', 600000));
CREATE TRIGGER `counts` BEFORE INSERT ON `rcpthosts` FOR EACH ROW INSERT INTO `log` (what) VALUES (');');
