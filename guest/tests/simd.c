/*
 * simd.c: SSE, AVX and x87 registers live across SAVE().
 *
 * The sums are kept in registers by the loops around the call: what they hold
 * comes out only at the end.
 */
#include <immintrin.h>
#include <stdio.h>

#include "scratchvm.h"

static int avx(void) __attribute__((target("avx2"), noinline));

static int avx(void)
{
	long result = SCRATCHVM_SAVE;
	__m256i mark = _mm256_set_epi64x(4, 3, 2, 1);
	__m256d real = _mm256_set_pd(4.5, 3.5, 2.5, 1.5);
	long long out[4];
	double reals[4];

	/* The call takes no register of the vector unit: both stay in place. */
	__asm__ volatile("vmovdqa %[mark], %%ymm7\n\t"
			 "vmovapd %[real], %%ymm15\n\t"
			 "syscall\n\t"
			 "vmovdqu %%ymm7, %[out]\n\t"
			 "vmovupd %%ymm15, %[reals]\n\t"
			 "vzeroupper"
			 : "+a"(result), [out] "=m"(out), [reals] "=m"(reals)
			 : [mark] "x"(mark), [real] "x"(real)
			 : "rcx", "r11", "memory", "xmm7", "xmm15");
	printf("avx %lld %lld %lld %lld\n", out[0], out[1], out[2], out[3]);
	printf("avx %.1f %.1f %.1f %.1f\n", reals[0], reals[1], reals[2],
	       reals[3]);
	return (int)result;
}

static void sse_and_x87(void)
{
	long result = SCRATCHVM_SAVE;
	double in = 1.0 / 3.0, x87, sse;
	unsigned int mxcsr;

	__asm__ volatile("fldl %[in]\n\t"
			 "movsd %[in], %%xmm9\n\t"
			 "syscall\n\t"
			 "movsd %%xmm9, %[sse]\n\t"
			 "fstpl %[x87]\n\t"
			 "stmxcsr %[mxcsr]"
			 : "+a"(result), [x87] "=m"(x87), [sse] "=m"(sse),
			   [mxcsr] "=m"(mxcsr)
			 : [in] "m"(in)
			 : "rcx", "r11", "memory", "xmm9");
	printf("x87 %.17g sse %.17g mxcsr %x\n", x87, sse, mxcsr & 0xffc0);
}

int main(void)
{
	sse_and_x87();
	if (__builtin_cpu_supports("avx2"))
		avx();
	return 0;
}
