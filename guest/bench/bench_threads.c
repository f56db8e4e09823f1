/*
 * bench_threads.c THREADS ROUNDS: threads that compute, and add what they found
 * under a lock each time; prints the sum.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST 64
#define STEPS 10000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t sum;
static long rounds;

static void *work(void *start)
{
	uint64_t x = (uintptr_t)start;

	for (long i = 0; i < rounds; i++) {
		for (int k = 0; k < STEPS; k++)
			x = x * 6364136223846793005u + 1442695040888963407u;
		pthread_mutex_lock(&lock);
		sum += x >> 32;
		pthread_mutex_unlock(&lock);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 4;
	pthread_t thread[MOST];

	rounds = argc > 2 ? atol(argv[2]) : 1000;
	if (threads < 1 || threads > MOST)
		return 2;
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread[i], 0, work, (void *)(uintptr_t)(i + 1)))
			return 1;
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], 0);
	printf("%lu\n", sum);
	return 0;
}
