/* bench_first.c: the shortest program; libc's own start is all that it does. */
int main(void)
{
	return 0;
}
