CREATE TABLE `domain` (
  `domain` varchar(255) NOT NULL,
  `description` varchar(255) NOT NULL DEFAULT '',
  `aliases` int(10) NOT NULL DEFAULT 0,
  `mailboxes` int(10) NOT NULL DEFAULT 0,
  `quota` bigint(20) NOT NULL DEFAULT 0,
  `transport` varchar(255) NOT NULL DEFAULT 'virtual',
  `backupmx` tinyint(1) DEFAULT 0,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) DEFAULT 1,
  PRIMARY KEY (`domain`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `mailbox` (
  `username` varchar(255) NOT NULL,
  `password` varchar(255) NOT NULL,
  `name` varchar(255) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
  `maildir` varchar(255) NOT NULL,
  `quota` bigint(20) NOT NULL DEFAULT 0,
  `local_part` varchar(255) NOT NULL,
  `domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) DEFAULT 1,
  PRIMARY KEY (`username`),
  KEY `domain` (`domain`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE `alias` (
  `address` varchar(255) NOT NULL,
  `goto` text NOT NULL,
  `domain` varchar(255) NOT NULL,
  `active` tinyint(1) DEFAULT 1,
  PRIMARY KEY (`address`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE `alias_domain` (
  `alias_domain` varchar(255) NOT NULL,
  `target_domain` varchar(255) NOT NULL,
  `active` tinyint(1) DEFAULT 1,
  PRIMARY KEY (`alias_domain`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE `vacation` (`email` varchar(255) NOT NULL, `body` text NOT NULL, PRIMARY KEY (`email`)) ENGINE=InnoDB;
INSERT INTO `domain` (domain, description, backupmx, active, created) VALUES ('ALL', '', 0, 1, DEFAULT),
  ('example.com', 'ours; "really"', 0, 1, '2020-02-02 02:02:02'), ('second.test', '', 0, 1, DEFAULT),
  ('backup.test', '', 1, 1, DEFAULT), ('off.test', '', 0, 0, DEFAULT),
  ('null.test', '', 0, NULL, DEFAULT), ('second2.test', '', NULL, 1, DEFAULT);
INSERT INTO `mailbox` (username, password, name, maildir, quota, local_part, domain, active) VALUES
  ('joe@example.com', '{SHA512-CRYPT}$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.', 'Joe', 'example.com/joe/', 1024, 'joe', 'example.com', 1),
  ('ann@example.com', '{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69', 'Änn', 'example.com/ann/', 0, 'ann', 'example.com', 1),
  ('cram@example.com', '{CRAM-MD5}26b633ec8bf9dd526293c5897400bddeef9299fad3f1d6f8ce9e5bcbbd85ee29', '', 'example.com/cram/', 0, 'cram', 'example.com', 1),
  ('left@example.com', '$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1', '', 'example.com/left/', 0, 'left', 'example.com', 0),
  ('null@example.com', '$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1', '', 'example.com/null/', 0, 'null', 'example.com', NULL);
INSERT INTO `alias` VALUES ('joe@example.com', 'joe@example.com', 'example.com', 1),
  ('ann@example.com', 'ann@example.com,far@example.org,ann#example.com@autoreply.example.com', 'example.com', 1),
  ('cram@example.com', 'cram@example.com', 'example.com', 1),
  ('list@example.com', 'joe@example.com,far@example.org', 'example.com', 1),
  ('gone@example.com', 'joe@example.com', 'example.com', 0),
  ('null@example.com', 'null@example.com', 'example.com', 1),
  ('nullalias@example.com', 'x@example.org', 'example.com', NULL),
  ('lost@example.com', '|prog', 'example.com', 1),
  ('@example.com', 'joe@example.com', 'example.com', 1),
  ('@second.test', 'x@example.org,y@example.org', 'second.test', 1);
INSERT INTO `alias_domain` VALUES ('double.test', 'example.com', 1), ('nulldouble.test', 'example.com', NULL);
INSERT INTO `domain` (domain) VALUES ('double.test'), ('nulldouble.test');
INSERT INTO `vacation` VALUES ('ann@example.com', 'I''m away');
