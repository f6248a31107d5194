/*
 * What Rust cannot call or read by itself: DPDK's static inline functions and macros, each under a name that begins with
 * ringdns_. This header is also what bindgen reads, so it includes every DPDK header that the data plane uses.
 */
#ifndef RINGDNS_SHIM_H
#define RINGDNS_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_version.h>

/* Macros of more than a number, which bindgen cannot evaluate. */
static const uint64_t RINGDNS_RSS_IP_UDP_TCP = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP;
static const uint64_t RINGDNS_RSS_IPV4 = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER;
static const uint64_t RINGDNS_RSS_IPV6 = RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER;
static const uint64_t RINGDNS_RSS_UDP = RTE_ETH_RSS_UDP;
static const uint64_t RINGDNS_RSS_TCP = RTE_ETH_RSS_TCP;
static const int32_t RINGDNS_SOCKET_ID_ANY = SOCKET_ID_ANY;
static const uint16_t RINGDNS_HEADROOM_BYTES = RTE_PKTMBUF_HEADROOM;

/* The ring a frame lies on. */
uint16_t ringdns_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
uint16_t ringdns_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);

/*
 * A pool of buffers, as rte_pktmbuf_pool_create makes it; sets rte_errno and returns NULL where it cannot. Without hugepages the
 * buffers lie close together: DPDK would let none cross a page, which leaves a third of the memory unused, and net_af_xdp reckons
 * without those gaps, so that it loses all buffers behind the size that it knows.
 */
struct rte_mempool *ringdns_pktmbuf_pool_create(const char *name, unsigned int mbufs, unsigned int cache, uint16_t room,
						int socket_id);
/* Buffers. */
struct rte_mbuf *ringdns_pktmbuf_alloc(struct rte_mempool *pool);
void ringdns_pktmbuf_free(struct rte_mbuf *mbuf);

/* rte_errno, a thread-local variable behind a macro. */
int ringdns_errno(void);

/* Sets *up to 1 or 0 and *speed_mbps; struct rte_eth_link is made of bit fields. Negative errno on failure. */
int ringdns_eth_link_get(uint16_t port, int *up, uint32_t *speed_mbps);

/* Sends DPDK's log to stderr, and a copy to a buffer while one is asked for. To be called before rte_eal_init. */
int ringdns_log_install(void);
/* Starts collecting the log instead of writing it. */
void ringdns_log_capture(void);
/* Ends that; copies up to `room` bytes of what was collected and returns their number. */
size_t ringdns_log_take(char *text, size_t room);

#endif
