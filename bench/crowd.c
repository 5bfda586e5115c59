/* What comes to very many listeners with one socket, counted: the part of crowd.py that has to
 * be fast. A listener is an address from 127.1.0.1 on; IP_PKTINFO says which one a datagram was
 * for, SO_RXQ_OVFL how many the socket itself has dropped. Offsets as in docs/wire.md.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define AT_ONCE 256
#define DATAGRAM_BYTES 1536
#define TRAIN_BYTES 65536
#define HEADER_BYTES 32
#define AUDIO 5
#define STATUS 7
#define BINS 8192
#define BIN_US 500

/* Mirrored in crowd.py. */
struct crowd {
    uint32_t first_address, listeners;
    uint64_t until;         /* AUDIO from this sequence on is counted apart; 0: none is */
    uint64_t next_sequence; /* one above the highest AUDIO that came */
    uint64_t datagrams, dropped, others;
    int64_t least_us; /* arrival less media time where the first bin begins; 0: not known yet */
    uint64_t live_time_us;
    uint32_t want_status, anything; /* hand over the next STATUS; count all that comes, unread */
    uint32_t every, unused;         /* every copy counts in `late`, not only the first */
    uint64_t *received, *apart;     /* by listener */
    uint64_t *late;                 /* by bin */
};

struct control {
    uint32_t listener, bytes;
    char data[DATAGRAM_BYTES];
};

static uint64_t word(const char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return be64toh(value);
}

static void take_audio(struct crowd *crowd, uint32_t listener, const char *data, int64_t now_us)
{
    uint64_t sequence = word(data + 16), media_us = word(data + 24);
    int is_first = sequence >= crowd->next_sequence;
    if (is_first)
        crowd->next_sequence = sequence + 1;
    if (crowd->until && sequence >= crowd->until)
        crowd->apart[listener]++;
    else
        crowd->received[listener]++;
    if (!(is_first || crowd->every) || media_us < crowd->live_time_us)
        return;
    int64_t offset_us = now_us - (int64_t)media_us;
    if (!crowd->least_us)
        crowd->least_us = offset_us - BIN_US * BINS / 4;
    int64_t bin = (offset_us - crowd->least_us) / BIN_US;
    crowd->late[bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin]++;
}

/* One datagram for `listener`. If it is not AUDIO, it goes to `control`: 1, else 0. */
static int take(struct crowd *crowd, uint32_t listener, const char *data, uint32_t bytes,
                int64_t now_us, struct control *control)
{
    crowd->datagrams++;
    if (listener >= crowd->listeners) {
        crowd->others++;
    } else if (crowd->anything) {
        crowd->received[listener]++;
    } else if (bytes < HEADER_BYTES || bytes > DATAGRAM_BYTES) {
        crowd->others++;
    } else if (data[3] == AUDIO) {
        take_audio(crowd, listener, data, now_us);
    } else if (data[3] != STATUS || crowd->want_status) {
        if (data[3] == STATUS)
            crowd->want_status = 0;
        control->listener = listener;
        control->bytes = bytes;
        memcpy(control->data, data, bytes);
        return 1;
    }
    return 0;
}

/* Take all that has come to `sock`. What is not AUDIO goes to `controls`; how many of them.
 * Returns early when they are nearly full: control messages come one by one, never in trains. */
int drain(int sock, struct crowd *crowd, struct control *controls, int room)
{
    static char buffers[AT_ONCE][TRAIN_BYTES], ancillary[AT_ONCE][128];
    struct mmsghdr messages[AT_ONCE];
    struct iovec vectors[AT_ONCE];
    int taken = 0;
    while (taken + AT_ONCE <= room) {
        for (int i = 0; i < AT_ONCE; i++) {
            vectors[i] = (struct iovec){buffers[i], TRAIN_BYTES};
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i],
                                                  .msg_iovlen = 1,
                                                  .msg_control = ancillary[i],
                                                  .msg_controllen = sizeof ancillary[i]};
        }
        int came = recvmmsg(sock, messages, AT_ONCE, MSG_DONTWAIT, NULL);
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t now_us = now.tv_sec * 1000000 + now.tv_nsec / 1000;
        for (int i = 0; i < came; i++) {
            struct msghdr *header = &messages[i].msg_hdr;
            uint32_t listener = crowd->listeners, bytes = messages[i].msg_len;
            int step = bytes;
            int64_t at_us = now_us;
            for (struct cmsghdr *one = CMSG_FIRSTHDR(header); one; one = CMSG_NXTHDR(header, one)) {
                if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
                    struct in_pktinfo info;
                    memcpy(&info, CMSG_DATA(one), sizeof info);
                    listener = ntohl(info.ipi_addr.s_addr) - crowd->first_address;
                } else if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SO_RXQ_OVFL) {
                    uint32_t dropped;
                    memcpy(&dropped, CMSG_DATA(one), sizeof dropped);
                    crowd->dropped = dropped;
                } else if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SCM_TIMESTAMPNS) {
                    struct timespec stamp;
                    memcpy(&stamp, CMSG_DATA(one), sizeof stamp);
                    at_us = stamp.tv_sec * 1000000 + stamp.tv_nsec / 1000;
                } else if (one->cmsg_level == SOL_UDP && one->cmsg_type == UDP_GRO) {
                    memcpy(&step, CMSG_DATA(one), sizeof step);
                }
            }
            for (uint32_t at = 0; at < bytes && taken < room; at += step)
                taken += take(crowd, listener, buffers[i] + at,
                              bytes - at < (uint32_t)step ? bytes - at : (uint32_t)step, at_us,
                              &controls[taken]);
        }
        if (came < AT_ONCE)
            return taken;
    }
    return taken;
}
