/* The limit of what a server can do here with epoll(7): one thread, one read and one write
 * for each request, ready answers. It finds the end of a request's head, its target, and the
 * fields If-None-Match and Connection, and checks nothing else. It is no server for use: it
 * trusts its client.
 *
 *     limit FOLDER TARGET...
 *
 * For the Nth TARGET, from 0, FOLDER has N.tag, an entity tag, N.first, N.rest and N.body of
 * the answer 200, and N.same-first and N.same-rest of the answer 304: what comes before the
 * field Date, the fields behind it, and the body. It prints its address, and ends with its
 * standard input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct part { char *at; size_t size; };
struct answer { struct part target, tag, first, rest, body, same_first, same_rest; };

/* A connection has what could not be answered or sent yet; both are seldom. */
struct conn { struct part in, out; int closes; };

static struct answer *answers;
static int count, ep;
static struct conn *conns;
static char in[64 << 10], out[1 << 20];
static char date[64];
static size_t date_size;

static void fail(const char *what) { perror(what); exit(1); }

static struct part load(const char *dir, int n, const char *suffix) {
	char name[4096];
	struct part p;
	snprintf(name, sizeof name, "%s/%d.%s", dir, n, suffix);
	FILE *f = fopen(name, "rb");
	if (!f || fseek(f, 0, SEEK_END)) fail(name);
	p.size = ftell(f);
	rewind(f);
	p.at = malloc(p.size + 1);
	if (fread(p.at, 1, p.size, f) != p.size) fail(name);
	fclose(f);
	return p;
}

static void set_date(void) {
	static time_t last;
	time_t now = time(NULL);
	struct tm t;
	if (now == last) return;
	last = now;
	gmtime_r(&now, &t);
	date_size = strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &t);
}

static void keep(struct part *p, const char *at, size_t size) {
	free(p->at);
	p->at = size ? malloc(size) : NULL;
	p->size = size;
	if (size) memcpy(p->at, at, size);
}

static void watch(int fd, int op, unsigned events) {
	struct epoll_event e = { .events = events, .data.fd = fd };
	if (epoll_ctl(ep, op, fd, &e)) fail("epoll_ctl");
}

static void drop(int fd) {
	keep(&conns[fd].in, NULL, 0);
	keep(&conns[fd].out, NULL, 0);
	close(fd);
}

static char *add(char *to, struct part p) { memcpy(to, p.at, p.size); return to + p.size; }

/* respond appends the answer to the request of size bytes, and returns the end of it. */
static char *respond(char *to, const char *request, size_t size, int *closes) {
	const char *target = request + 4, *end = memchr(target, ' ', size - 4);
	for (int i = 0; end && i < count; i++) {
		struct answer *a = &answers[i];
		if ((size_t)(end - target) != a->target.size || memcmp(target, a->target.at, a->target.size)) continue;
		const char *field = memmem(end, request + size - end, "\r\nIf-None-Match: ", 17);
		int same = field && !memcmp(field + 17, a->tag.at, a->tag.size);
		*closes = memmem(end, request + size - end, "\r\nConnection: close", 19) != NULL;
		to = add(to, same ? a->same_first : a->first);
		memcpy(to, date, date_size), to += date_size;
		to = add(to, same ? a->same_rest : a->rest);
		if (*closes) memcpy(to, "Connection: close\r\n", 19), to += 19;
		*to++ = '\r', *to++ = '\n';
		return same ? to : add(to, a->body);
	}
	*closes = 1;
	static const char none[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	memcpy(to, none, sizeof none - 1);
	return to + sizeof none - 1;
}

static size_t largest;

/* flush sends what is collected. It returns 0 if the rest has to wait. */
static int flush(int fd, char *to) {
	ssize_t n = send(fd, out, to - out, MSG_NOSIGNAL);
	if (n == to - out) return 1;
	if (n < 0 && errno != EAGAIN) n = to - out; /* the client is gone, as the next read tells */
	keep(&conns[fd].out, out + (n < 0 ? 0 : n), to - out - (n < 0 ? 0 : n));
	return 0;
}

static void serve(int fd, int added) {
	struct conn *c = &conns[fd];
	size_t had = c->in.size;
	memcpy(in, c->in.at ? c->in.at : "", had);
	ssize_t n = read(fd, in + had, sizeof in - had);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN) { drop(fd); return; }
		n = 0;
	}
	char *at = in, *end = in + had + n, *to = out;
	int sent = 1;
	set_date();
	while (sent && !c->closes && at < end) {
		char *head = memmem(at, end - at, "\r\n\r\n", 4);
		if (!head) break;
		head += 4;
		to = respond(to, at, head - at, &c->closes);
		at = head;
		if ((size_t)(out + sizeof out - to) < largest) sent = flush(fd, to), to = out;
	}
	if (sent && to > out) sent = flush(fd, to);
	if (at != in || (size_t)(end - at) != had) keep(&c->in, at, end - at);
	if (sent && c->closes) { drop(fd); return; }
	if (!added) watch(fd, EPOLL_CTL_ADD, sent ? EPOLLIN : EPOLLOUT);
	else if (!sent) watch(fd, EPOLL_CTL_MOD, EPOLLOUT);
}

static void resume(int fd) {
	struct conn *c = &conns[fd];
	ssize_t n = send(fd, c->out.at, c->out.size, MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN) return;
	if (n < 0) { drop(fd); return; }
	if ((size_t)n < c->out.size) {
		memmove(c->out.at, c->out.at + n, c->out.size - n);
		c->out.size -= n;
		return;
	}
	keep(&c->out, NULL, 0);
	if (c->closes) { drop(fd); return; }
	watch(fd, EPOLL_CTL_MOD, EPOLLIN);
	if (c->in.size) serve(fd, 1);
}

int main(int argc, char **argv) {
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof addr;
	struct rlimit files;
	struct epoll_event events[256];
	int one = 1;
	if (argc < 3 || getrlimit(RLIMIT_NOFILE, &files)) fail("limit");
	count = argc - 2;
	answers = calloc(count, sizeof *answers);
	conns = calloc(files.rlim_cur, sizeof *conns);
	for (int i = 0; i < count; i++) {
		struct answer *a = &answers[i];
		a->target = (struct part){ argv[i + 2], strlen(argv[i + 2]) };
		a->tag = load(argv[1], i, "tag");
		a->first = load(argv[1], i, "first");
		a->rest = load(argv[1], i, "rest");
		a->body = load(argv[1], i, "body");
		a->same_first = load(argv[1], i, "same-first");
		a->same_rest = load(argv[1], i, "same-rest");
		size_t whole = a->first.size + a->rest.size + a->body.size + 256;
		if (whole > largest) largest = whole;
	}
	if (largest > sizeof out) { fprintf(stderr, "limit: an answer is too large\n"); return 1; }
	ep = epoll_create1(EPOLL_CLOEXEC);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ep < 0 || l < 0 || bind(l, (void *)&addr, sizeof addr) || listen(l, 4096) || getsockname(l, (void *)&addr, &size)) fail("listen");
	setsockopt(l, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* connections inherit it */
	printf("127.0.0.1:%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	watch(l, EPOLL_CTL_ADD, EPOLLIN);
	watch(0, EPOLL_CTL_ADD, EPOLLIN);
	for (;;) {
		int n = epoll_wait(ep, events, 256, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == 0) return 0;
			if (fd != l) {
				if (events[i].events & EPOLLOUT) resume(fd);
				else serve(fd, 1);
				continue;
			}
			for (int k = 0; k < 64 && (fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; k++) {
				memset(&conns[fd], 0, sizeof conns[fd]);
				serve(fd, 0); /* the request has often come with the connection */
			}
		}
	}
}
