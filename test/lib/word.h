/* The four-letter words of a server. */
#ifndef ZKSYNC_TEST_WORD_H
#define ZKSYNC_TEST_WORD_H

#include <stddef.h>

/* word_ask: the answer of the server at "host:port", to be freed; "" where there is none. */
char *word_ask(const char *server, const char *word);

/* word_figure: the number behind a text, such as "zk_watch_count\t" in the answer to mntr; 0 for none. */
size_t word_figure(const char *answer, const char *name);

/* word_release: which release of ZooKeeper the server is, or behaves as: 308 for 3.8. */
int word_release(const char *server);

#endif
