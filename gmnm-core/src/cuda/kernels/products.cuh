// Products of tiles in shared memory, by a block of 256 threads.
//
// A tile has 64 rows and 16*NT columns. Each of the block's eight warps makes 16 rows by 8*NT columns of it, on tensor
// cores: a factor is the sum of two numbers of TF32's 11 bits, and three products of those make one that is right to
// some 2^-19.

#define THREADS 256
#define ROWS 64   // rows of a tile
#define DEPTH 32  // of one product
// Lengths of lines in shared memory with which the lanes of a warp read from different banks: 4 more than a multiple of
// 32 where neighbouring lanes read along a line, 8 more where they read across.
#define LINE 36    // of DEPTH, read along
#define ROW 68     // of 64, read along
#define ACROSS 72  // of 64, read across

// The row of a tile where this thread's element i of a quarter lies.
__device__ inline int row_of(int i) {
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return warp % 4 * 16 + lane / 4 + i / 2 * 8;
}

// The column of its element i of the n-th of NT.
template <int NT>
__device__ inline int column_of(int n, int i) {
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return warp / 4 * (8 * NT) + n * 8 + lane % 4 * 2 + i % 2;
}

// Writes a tile as [row][column] in lines of P, an even number.
template <int NT, int P>
__device__ inline void put_tile(float* to, const float tile[NT][4]) {
    for (int n = 0; n < NT; n++) {
        for (int i = 0; i < 4; i += 2) {
            float2 pair;
            pair.x = tile[n][i];
            pair.y = tile[n][i + 1];
            *(float2*)&to[row_of(i) * P + column_of<NT>(n, i)] = pair;
        }
    }
}

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define TENSOR_CORES

// Whether four numbers can be taken at once from each line.
__device__ inline bool in_fours(const float* from, long long pitch) {
    return ((unsigned long long)from | (unsigned long long)pitch * 4) % 16 == 0;
}
__device__ inline bool in_fours(const bf16* from, long long pitch) {
    return ((unsigned long long)from | (unsigned long long)pitch * 2) % 8 == 0;
}

// Starts a copy of `count` numbers, at most four, to shared memory, and zeros after them.
__device__ inline void start_copy(float* to, const float* from, int count) {
    asm volatile(
        "{ .reg .u64 at; cvta.to.shared.u64 at, %0; cp.async.cg.shared.global [at], [%1], 16, %2; }"
        :
        : "l"(to), "l"(from), "r"(count * 4)
        : "memory");
}
__device__ inline void start_copy(float* to, const bf16* from, int count) {
    uint2 bits = make_uint2(0, 0);
    if (count > 0) bits = *(const uint2*)from;
    float4 wide;
    wide.x = count > 0 ? __uint_as_float(bits.x << 16) : 0.0f;
    wide.y = count > 1 ? __uint_as_float(bits.x & 0xffff0000u) : 0.0f;
    wide.z = count > 2 ? __uint_as_float(bits.y << 16) : 0.0f;
    wide.w = count > 3 ? __uint_as_float(bits.y & 0xffff0000u) : 0.0f;
    *(float4*)to = wide;
}
#endif

// Copies from[line*pitch + i] to lines of P, a multiple of 4; zero where line or i is beyond what is left. It is there
// after `settle`.
template <int LINES, int LENGTH, int P, typename T>
__device__ inline void fetch(float* to, const T* from, long long pitch, int lines, int length) {
#ifdef TENSOR_CORES
    if (in_fours(from, pitch)) {
#pragma unroll
        for (int n = 0; n < (LINES * LENGTH / 4 + THREADS - 1) / THREADS; n++) {
            int i = n * THREADS + threadIdx.x, line = i / (LENGTH / 4), at = i % (LENGTH / 4) * 4;
            if (LINES * LENGTH / 4 % THREADS != 0 && i >= LINES * LENGTH / 4) break;
            int count = line < lines ? max(0, min(4, length - at)) : 0;
            start_copy(&to[line * P + at], count > 0 ? &from[line * pitch + at] : from, count);
        }
        return;
    }
#endif
#pragma unroll
    for (int n = 0; n < (LINES * LENGTH + THREADS - 1) / THREADS; n++) {
        int i = n * THREADS + threadIdx.x, line = i / LENGTH, at = i % LENGTH;
        if (LINES * LENGTH % THREADS != 0 && i >= LINES * LENGTH) break;
        bool inside = line < lines && at < length;
        to[line * P + at] = inside ? widened(from[line * pitch + at]) : 0.0f;
    }
}

// Waits for all copies of the block, and for all that its threads wrote.
__device__ inline void settle() {
#ifdef TENSOR_CORES
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
    __syncthreads();
}

#ifdef TENSOR_CORES
// x as the sum of two numbers of TF32. What is cut off the second is less than 2^-20 of x.
__device__ inline void split(float x, unsigned int& high, unsigned int& low) {
    high = __float_as_uint(x) & 0xffffe000u;
    low = __float_as_uint(x - __uint_as_float(high));
}

// c += a*b of 16 by 8 by 8, each lane holding its parts.
__device__ inline void multiply(
    float c[4], const unsigned int a[4], const unsigned int b[2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// tile(row, column) += sum over k < K, a multiple of 8, of a[row*A_ROW + k*A_K] * b[column*B_COLUMN + k*B_K].
template <int NT, int A_ROW, int A_K, int B_COLUMN, int B_K, int K = DEPTH>
__device__ inline void add_product(float tile[NT][4], const float* a, const float* b) {
#ifdef TENSOR_CORES
    int lane = threadIdx.x % 32;
    a += row_of(0) * A_ROW + lane % 4 * A_K;
    b += (threadIdx.x / 128 * (8 * NT) + lane / 4) * B_COLUMN + lane % 4 * B_K;
#pragma unroll
    for (int k = 0; k < K; k += 8) {
        unsigned int a_high[4], a_low[4];
        split(a[k * A_K], a_high[0], a_low[0]);
        split(a[8 * A_ROW + k * A_K], a_high[1], a_low[1]);
        split(a[(k + 4) * A_K], a_high[2], a_low[2]);
        split(a[8 * A_ROW + (k + 4) * A_K], a_high[3], a_low[3]);
#pragma unroll
        for (int n = 0; n < NT; n++) {
            unsigned int b_high[2], b_low[2];
            split(b[n * 8 * B_COLUMN + k * B_K], b_high[0], b_low[0]);
            split(b[n * 8 * B_COLUMN + (k + 4) * B_K], b_high[1], b_low[1]);
            // The smallest first.
            multiply(tile[n], a_low, b_high);
            multiply(tile[n], a_high, b_low);
            multiply(tile[n], a_high, b_high);
        }
    }
#else
    for (int n = 0; n < NT; n++) {
        for (int i = 0; i < 4; i++) {
            const float* row = a + row_of(i) * A_ROW;
            const float* column = b + column_of<NT>(n, i) * B_COLUMN;
            float sum = 0.0f;
            for (int k = 0; k < K; k++) sum = fmaf(row[k * A_K], column[k * B_K], sum);
            tile[n][i] += sum;
        }
    }
#endif
}

// As `add_product`, the sum being made on its own before it is added: tensor cores cut bits off whenever they add, which
// over many rows would show.
template <int NT, int A_ROW, int A_K, int B_COLUMN, int B_K>
__device__ inline void add_product_apart(float tile[NT][4], const float* a, const float* b) {
    float sum[NT][4] = {};
    add_product<NT, A_ROW, A_K, B_COLUMN, B_K>(sum, a, b);
    for (int n = 0; n < NT; n++) {
        for (int i = 0; i < 4; i++) tile[n][i] += sum[n][i];
    }
}
