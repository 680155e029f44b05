/* connect_per_run SOCKET USER PASSWORD DATABASE LOCAL: a MySQL connection, one SELECT and six fields, as the programs
of the old patch did it. For the bench of exec. The declarations stand here, so that libmariadb's headers need not be
installed: cc -O2 -o connect_per_run connect_per_run.c -l:libmariadb.so.3 */

#include <stdio.h>
#include <string.h>

typedef struct MYSQL MYSQL;
typedef struct MYSQL_RES MYSQL_RES;
MYSQL *mysql_init(MYSQL *);
MYSQL *mysql_real_connect(MYSQL *, const char *host, const char *user, const char *password, const char *database,
                          unsigned int port, const char *socket, unsigned long flags);
int mysql_query(MYSQL *, const char *);
MYSQL_RES *mysql_store_result(MYSQL *);
char **mysql_fetch_row(MYSQL_RES *);
void mysql_free_result(MYSQL_RES *);
void mysql_close(MYSQL *);

int main(int argc, char **argv)
{
  char query[256];
  MYSQL *connection;
  MYSQL_RES *result;
  char **row;

  if (argc != 6 || strlen(argv[5]) > 64 || strpbrk(argv[5], "'\\")) return 100;
  connection = mysql_init(NULL);
  if (!connection || !mysql_real_connect(connection, NULL, argv[2], argv[3], argv[4], 0, argv[1], 0)) return 111;
  snprintf(query, sizeof query, "SELECT username, uid, gid, home FROM mailbox WHERE username = '%s'", argv[5]);
  if (mysql_query(connection, query)) return 111;
  result = mysql_store_result(connection);
  row = result ? mysql_fetch_row(result) : NULL;
  if (!row || !row[0] || !row[1] || !row[2] || !row[3]) return 111;
  printf("%s%c%s%c%s%c%s%c%c%c", row[0], 0, row[1], 0, row[2], 0, row[3], 0, 0, 0);
  mysql_free_result(result);
  mysql_close(connection);
  return fflush(stdout) ? 111 : 0;
}
