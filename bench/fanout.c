/* What a fan-out costs in C: the same bytes to N addresses with sendmmsg(2), over and over.
 *
 *     fanout PORT LISTENERS BYTES DATAGRAMS BATCH TICKS
 *
 * A tick sends DATAGRAMS datagrams of BYTES each to 127.1.0.1 and the addresses that follow it,
 * LISTENERS in all; more than one datagram as one payload that the kernel cuts (UDP_SEGMENT).
 * BATCH messages go with one system call. The headers are prepared once and point at one shared
 * payload. Prints the processor time of TICKS ticks, user and system, in seconds, and how many
 * messages the system did not take.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define SOL_UDP_ 17
#define UDP_SEGMENT_ 103
#define SEND_BUFFER_BYTES (4 << 20)
#define ROOM_MS 20

static unsigned long refused;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void tick(int sock, struct mmsghdr *messages, unsigned listeners, unsigned batch)
{
    unsigned done = 0;
    while (done < listeners) {
        unsigned left = listeners - done;
        int sent = sendmmsg(sock, messages + done, left < batch ? left : batch, MSG_DONTWAIT);
        if (sent > 0) {
            done += (unsigned)sent;
        } else if (errno == EAGAIN) {
            struct pollfd room = {.fd = sock, .events = POLLOUT};
            if (poll(&room, 1, ROOM_MS) == 1)
                continue;
            refused += left;
            return;
        } else if (errno != EINTR) {
            refused++;
            done++;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;
    int port = atoi(argv[1]);
    unsigned listeners = (unsigned)atoi(argv[2]);
    size_t bytes = (size_t)atoi(argv[3]), datagrams = (size_t)atoi(argv[4]);
    unsigned batch = (unsigned)atoi(argv[5]), ticks = (unsigned)atoi(argv[6]);

    int sock = socket(AF_INET, SOCK_DGRAM, 0);
    if (sock < 0)
        fail("socket");
    int never_fragment = IP_PMTUDISC_DO, room = SEND_BUFFER_BYTES;
    if (setsockopt(sock, IPPROTO_IP, IP_MTU_DISCOVER, &never_fragment, sizeof never_fragment))
        fail("IP_MTU_DISCOVER");
    setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(sock, (struct sockaddr *)&from, sizeof from))
        fail("bind");

    struct mmsghdr *messages = calloc(listeners, sizeof *messages);
    struct sockaddr_in *names = calloc(listeners, sizeof *names);
    char *payload = calloc(datagrams, bytes);
    if (!messages || !names || !payload)
        fail("calloc");
    struct iovec vector = {.iov_base = payload, .iov_len = datagrams * bytes};
    union {
        char room[CMSG_SPACE(sizeof(unsigned short))];
        struct cmsghdr header;
    } control;
    memset(&control, 0, sizeof control);
    control.header.cmsg_len = CMSG_LEN(sizeof(unsigned short));
    control.header.cmsg_level = SOL_UDP_;
    control.header.cmsg_type = UDP_SEGMENT_;
    unsigned short segment = (unsigned short)bytes;
    memcpy(CMSG_DATA(&control.header), &segment, sizeof segment);
    for (unsigned i = 0; i < listeners; i++) {
        names[i].sin_family = AF_INET;
        names[i].sin_port = htons((unsigned short)port);
        names[i].sin_addr.s_addr = htonl(0x7f010001u + i);
        struct msghdr *header = &messages[i].msg_hdr;
        header->msg_name = &names[i];
        header->msg_namelen = sizeof names[i];
        header->msg_iov = &vector;
        header->msg_iovlen = 1;
        if (datagrams > 1) {
            header->msg_control = &control;
            header->msg_controllen = sizeof control;
        }
    }

    tick(sock, messages, listeners, batch); /* routes and caches */
    refused = 0;
    struct timespec began, ended;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
    for (unsigned i = 0; i < ticks; i++)
        tick(sock, messages, listeners, batch);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
    printf("%.9f %lu\n",
           (double)(ended.tv_sec - began.tv_sec) + 1e-9 * (double)(ended.tv_nsec - began.tv_nsec),
           refused);
    return 0;
}
