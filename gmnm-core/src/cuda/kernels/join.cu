// Up to three arrays one after the other; those that are not there have no elements.

extern "C" __global__ void join_f32(
    const float* a, const float* b, const float* c, float* to, long long a_count, long long b_count,
    long long c_count) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, after = i - a_count;
    if (i < a_count) {
        to[i] = a[i];
    } else if (after < b_count) {
        to[i] = b[after];
    } else if (after - b_count < c_count) {
        to[i] = c[after - b_count];
    }
}
