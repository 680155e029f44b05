CREATE TABLE `vpopmail` (
  `pw_name` char(32) NOT NULL,
  `pw_domain` char(96) NOT NULL,
  `pw_passwd` char(128) DEFAULT NULL,
  `pw_uid` int(11) DEFAULT NULL,
  `pw_gid` int(11) DEFAULT NULL,
  `pw_gecos` char(48) DEFAULT NULL,
  `pw_dir` char(160) DEFAULT NULL,
  `pw_shell` char(20) DEFAULT NULL,
  `pw_clear_passwd` char(16) DEFAULT NULL,
  PRIMARY KEY (`pw_name`,`pw_domain`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;
CREATE TABLE `valias` (
  `alias` char(32) NOT NULL,
  `domain` char(96) NOT NULL,
  `valias_line` text NOT NULL,
  KEY `alias` (`alias`,`domain`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;
CREATE TABLE `aliasdomains` (`alias` varchar(96) NOT NULL, `domain` varchar(96) NOT NULL, PRIMARY KEY (`alias`))
  ENGINE=MyISAM DEFAULT CHARSET=latin1;
CREATE TABLE `lastauth` (
  `user` char(32) NOT NULL,
  `domain` char(96) NOT NULL,
  `remote_ip` char(18) NOT NULL,
  `timestamp` bigint(20) NOT NULL DEFAULT 0,
  PRIMARY KEY (`user`,`domain`)
) ENGINE=MyISAM DEFAULT CHARSET=latin1;
CREATE TABLE `backup_vpopmail` LIKE `vpopmail`;
CREATE TABLE `limits` (`domain` char(96) NOT NULL, `maxpopaccounts` int(10) NOT NULL DEFAULT -1, PRIMARY KEY (`domain`))
  ENGINE=MyISAM DEFAULT CHARSET=latin1;
INSERT INTO `vpopmail` VALUES
  ('postmaster', 'example.com', '$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1', 0, 4096, 'Postmaster', '/home/vpopmail/domains/example.com/postmaster', 'NOQUOTA', 'secret'),
  ('joe.user', 'example.com', '$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1', 0, 0, 'Joe ''the'' User', '/home/vpopmail/domains/example.com/joe.user', '10485760S,1000C', ''),
  ('closed', 'example.com', '$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1', 0, 10, '', '/home/vpopmail/domains/example.com/closed', 'NOQUOTA', NULL),
  ('clear', 'example.com', '', 0, 0, '', '/home/vpopmail/domains/example.com/clear', 'NOQUOTA', 'plain''word'),
  ('none', 'example.com', '', 0, 0, '', '/home/vpopmail/domains/example.com/none', 'NOQUOTA', ''),
  ('all', 'example.com', '$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1', 0, -1, '', '/home/vpopmail/domains/example.com/all', 'NOQUOTA', '');
INSERT INTO `backup_vpopmail` VALUES
  ('fired', 'example.com', '$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1', 0, 0, '', '/home/vpopmail/domains/example.com/fired', 'NOQUOTA', ''),
  ('none', 'example.com', '$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1', 0, 0, '', '/home/vpopmail/domains/example.com/none', 'NOQUOTA', '');
INSERT INTO `valias` VALUES
  ('sales', 'example.com', '&joe.user@example.com'), ('sales', 'example.com', '&far@example.org'),
  ('joe.user', 'example.com', '/home/vpopmail/domains/example.com/joe.user/Maildir/'), ('joe.user', 'example.com', '&copy@example.org'),
  ('robot', 'example.com', '| /usr/bin/robot "x"');
INSERT INTO `aliasdomains` VALUES ('example.net', 'example.com');
INSERT INTO `lastauth` VALUES ('joe.user', 'example.com', '192.0.2.1', 1700000000);
INSERT INTO `limits` VALUES ('example.com', -1);
