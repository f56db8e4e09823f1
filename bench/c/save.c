/*
 * save.c FILE MIB: nanoseconds to write MIB of memory to a new FILE that takes
 * the place of the old one: write, fsync, rename, fsync of the folder.
 */
#include <libgen.h>
#include "vmm.h"

#define PIECE (8 * MIB)

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	size_t bytes = atoi(argv[2]) * MIB;
	char temporary[4096], folder[4096];
	uint64_t *words = mmap(0, bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (words == MAP_FAILED)
		die("mmap");
	madvise(words, bytes, MADV_HUGEPAGE);
	for (size_t i = 0; i < bytes / 8; i++)
		words[i] = (i + 1) * 0x9e3779b97f4a7c15ull;
	snprintf(temporary, sizeof temporary, "%s.tmp", argv[1]);
	snprintf(folder, sizeof folder, "%s", argv[1]);

	uint64_t start = now_ns();
	int fd = check("open", open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600));

	for (size_t at = 0; at < bytes;) {
		size_t left = bytes - at < PIECE ? bytes - at : PIECE;

		at += check("write", write(fd, (char *)words + at, left));
	}
	check("fsync", fsync(fd));
	close(fd);
	check("rename", rename(temporary, argv[1]));
	fd = check("open", open(dirname(folder), O_RDONLY | O_DIRECTORY));
	check("fsync", fsync(fd));
	close(fd);
	printf("%lu\n", now_ns() - start);
	return 0;
}
