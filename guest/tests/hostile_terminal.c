/*
 * hostile_terminal.c: what can be done to a terminal, at random: how it is set,
 * requests, flags, writes and reads. `hostile_terminal SEED ROUNDS END`; END is
 * how it ends: "exit" or "kill". Standard input, output and error are one.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <termios.h>
#include <unistd.h>

static uint64_t state;

/* Which request of a terminal, or something like one. */
static unsigned long request(void)
{
	static const unsigned long wide[] = {
		0x802c542a, 0x402c542b, 0x402c542c, 0x402c542d, /* termios2 */
	};

	if (next(&state) % 4 == 0)
		return wide[next(&state) % 4];
	return 0x5400 + next(&state) % 0x70;
}

/* Settings that may be, or are nothing that can be. */
static void set(int fd)
{
	struct termios now;
	unsigned char *bytes = (unsigned char *)&now;

	if (tcgetattr(fd, &now))
		return;
	for (int i = 0; i < 4; i++)
		bytes[next(&state) % sizeof now] ^= 1 << next(&state) % 8;
	now.c_cc[VMIN] = (unsigned char)next(&state);
	now.c_cc[VTIME] = (unsigned char)next(&state);
	tcsetattr(fd, (int)(next(&state) % 3), &now);
}

static void ignore(int number)
{
	(void)number;
}

int main(int argc, char **argv)
{
	/*
	 * Nothing waits for longer than to this signal, or the one after it: on
	 * a slow machine the first comes before the call that waits.
	 */
	const struct itimerval soon = { { 0, 300000 }, { 0, 20000 } };
	struct sigaction action = { .sa_handler = ignore };
	int rounds = argc > 2 ? atoi(argv[2]) : 1000;

	state = (argc > 1 ? strtoull(argv[1], 0, 0) : 1) | 1;
	arena = mmap(0, (PAGES + FLEETING) * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int signal = 1; signal < 32; signal++)
		sigaction(signal, &action, 0);
	for (int i = 0; i < rounds; i++) {
		int fd = (int)(next(&state) % 5);
		struct pollfd wait = { fd, POLLIN | POLLOUT, 0 };

		setitimer(ITIMER_REAL, &soon, 0);
		for (int words = 0; words < 20; words++)
			scribble(&state);
		switch (next(&state) % 8) {
		case 0:
			set(fd);
			break;
		case 1:
			write(fd, somewhere(&state), next(&state) % 2000);
			break;
		case 2:
			read(fd, somewhere(&state), next(&state) % 2000);
			break;
		case 3:
			fcntl(fd, F_SETFL, (int)next(&state));
			break;
		case 4:
			close(3);
			close(4);
			open("/dev/tty", O_RDWR | (next(&state) & O_NONBLOCK));
			dup((int)(next(&state) % 3));
			break;
		case 5:
			poll(&wait, 1, (int)(next(&state) % 3));
			break;
		default:
			ioctl(fd, request(), pick(&state));
		}
	}
	/* As it is seldom left: no echo, no lines, no signals, and stopped. */
	{
		struct termios raw;

		if (!tcgetattr(0, &raw)) {
			cfmakeraw(&raw);
			tcsetattr(0, TCSANOW, &raw);
		}
		tcflow(0, TCOOFF);
	}
	if (argc > 3 && argv[3][0] == 'k')
		raise(SIGKILL);
	return 3;
}
