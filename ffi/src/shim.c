/* See shim.h. Nothing here decides anything: one call in, one call out. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_mbuf_pool_ops.h>

#include "shim.h"

/* The fields that src/mbuf.rs reads and writes; the same numbers are asserted there. */
_Static_assert(sizeof(struct rte_mbuf) == 128, "src/mbuf.rs lays rte_mbuf out as 128 bytes");
_Static_assert(offsetof(struct rte_mbuf, buf_addr) == 0, "src/mbuf.rs: buf_addr");
_Static_assert(offsetof(struct rte_mbuf, data_off) == 16, "src/mbuf.rs: data_off");
_Static_assert(offsetof(struct rte_mbuf, nb_segs) == 20, "src/mbuf.rs: nb_segs");
_Static_assert(offsetof(struct rte_mbuf, ol_flags) == 24, "src/mbuf.rs: ol_flags");
_Static_assert(offsetof(struct rte_mbuf, pkt_len) == 36, "src/mbuf.rs: pkt_len");
_Static_assert(offsetof(struct rte_mbuf, data_len) == 40, "src/mbuf.rs: data_len");
_Static_assert(offsetof(struct rte_mbuf, buf_len) == 54, "src/mbuf.rs: buf_len");

uint16_t ringdns_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, mbufs, count);
}

uint16_t ringdns_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

struct rte_mempool *ringdns_pktmbuf_pool_create(const char *name, unsigned int mbufs, unsigned int cache, uint16_t room,
						int socket_id)
{
	struct rte_pktmbuf_pool_private private = { .mbuf_data_room_size = room };
	unsigned int flags = rte_eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
	struct rte_mempool *pool;
	int ret;

	pool = rte_mempool_create_empty(name, mbufs, sizeof(struct rte_mbuf) + room, cache, sizeof(private), socket_id, flags);
	if (pool == NULL)
		return NULL;
	ret = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (ret == 0) {
		rte_pktmbuf_pool_init(pool, &private);
		ret = rte_mempool_populate_default(pool);
	}
	if (ret < 0) {
		rte_mempool_free(pool);
		rte_errno = -ret;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

struct rte_mbuf *ringdns_pktmbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

void ringdns_pktmbuf_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

int ringdns_errno(void)
{
	return rte_errno;
}

int ringdns_eth_link_get(uint16_t port, int *up, uint32_t *speed_mbps)
{
	struct rte_eth_link link;
	int ret;

	memset(&link, 0, sizeof(link));
	ret = rte_eth_link_get_nowait(port, &link);
	if (ret < 0)
		return ret;
	*up = link.link_status == RTE_ETH_LINK_UP;
	*speed_mbps = link.link_speed;
	return 0;
}

/*
 * The log. DPDK writes to a FILE; ours hands every line to stderr or, during set-up, to a buffer from which an error
 * message quotes. The FILE is never closed: any DPDK thread may log at any time.
 */
static struct {
	pthread_mutex_t lock;
	int capturing;
	size_t length;
	char text[4096];
} captured = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Keeps the last lines: the newest ones tell why something failed. */
static void capture(const char *text, size_t length)
{
	size_t room = sizeof(captured.text);

	if (length > room) {
		text += length - room;
		length = room;
	}
	if (captured.length + length > room) {
		size_t lost = captured.length + length - room;

		memmove(captured.text, captured.text + lost, captured.length - lost);
		captured.length -= lost;
	}
	memcpy(captured.text + captured.length, text, length);
	captured.length += length;
}

static ssize_t log_write(void *cookie, const char *text, size_t length)
{
	(void)cookie;
	pthread_mutex_lock(&captured.lock);
	if (captured.capturing) {
		capture(text, length);
	} else {
		/* A log that cannot be written is no reason to fail. */
		ssize_t written = write(STDERR_FILENO, text, length);
		(void)written;
	}
	pthread_mutex_unlock(&captured.lock);
	return (ssize_t)length;
}

int ringdns_log_install(void)
{
	cookie_io_functions_t functions = { .write = log_write };
	FILE *log = fopencookie(NULL, "w", functions);

	if (log == NULL)
		return -1;
	setvbuf(log, NULL, _IOLBF, 0);
	return rte_openlog_stream(log);
}

void ringdns_log_capture(void)
{
	pthread_mutex_lock(&captured.lock);
	captured.capturing = 1;
	captured.length = 0;
	pthread_mutex_unlock(&captured.lock);
}

size_t ringdns_log_take(char *text, size_t room)
{
	size_t length;

	pthread_mutex_lock(&captured.lock);
	length = captured.length < room ? captured.length : room;
	memcpy(text, captured.text + captured.length - length, length);
	captured.capturing = 0;
	captured.length = 0;
	pthread_mutex_unlock(&captured.lock);
	return length;
}
