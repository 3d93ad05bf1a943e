// Max pooling over channels-last images: x [n, h, w, c] to y [n, oh, ow, c], and where in its window each maximum was.

struct Pooling {
    int h, w, c, oh, ow, kernel, stride;
};

template <typename T>
__device__ inline void max_pool2d_forward(
    const T* x, T* y, unsigned char* places, long long count, Pooling s) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int c = (int)(i % s.c), ox = (int)(i / s.c % s.ow), oy = (int)(i / s.c / s.ow % s.oh);
    long long image = i / s.c / s.ow / s.oh;
    T best = {};
    float value = 0.0f;
    int place = 0;
    for (int k = 0; k < s.kernel * s.kernel; k++) {
        long long row = image * s.h + oy * s.stride + k / s.kernel;
        T candidate = x[(row * s.w + ox * s.stride + k % s.kernel) * s.c + c];
        float v = widened(candidate);
        // A NaN wins over numbers, the first of equal values over others.
        if (k == 0 || v > value || v != v) {
            best = candidate;
            value = v;
            place = k;
        }
    }
    y[i] = best;
    places[i] = (unsigned char)place;
}

// Each place of the input collects from the windows that hold it, in their order.
template <typename T>
__device__ inline void max_pool2d_input(
    const T* dy, const unsigned char* places, T* dx, long long count, Pooling s) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int c = (int)(i % s.c), ix = (int)(i / s.c % s.w), iy = (int)(i / s.c / s.w % s.h);
    long long image = i / s.c / s.w / s.h;
    int first_y = max(0, iy - s.kernel + s.stride) / s.stride, first_x = max(0, ix - s.kernel + s.stride) / s.stride;
    float sum = 0.0f;
    for (int oy = first_y; oy < s.oh && oy * s.stride <= iy; oy++) {
        for (int ox = first_x; ox < s.ow && ox * s.stride <= ix; ox++) {
            int ky = iy - oy * s.stride, kx = ix - ox * s.stride;
            long long at = ((image * s.oh + oy) * s.ow + ox) * s.c + c;
            if (ky < s.kernel && kx < s.kernel && places[at] == ky * s.kernel + kx) sum += widened(dy[at]);
        }
    }
    narrow_to(&dx[i], sum);
}

#define MAX_POOL(suffix, T)                                                                            \
    extern "C" __global__ void max_pool2d_forward_##suffix(                                            \
        const T* x, T* y, unsigned char* places, long long count, int h, int w, int c, int oh, int ow, \
        int kernel, int stride) {                                                                      \
        max_pool2d_forward(x, y, places, count, Pooling{h, w, c, oh, ow, kernel, stride});             \
    }                                                                                                  \
    extern "C" __global__ void max_pool2d_input_##suffix(                                              \
        const T* dy, const unsigned char* places, T* dx, long long count, int h, int w, int c, int oh, \
        int ow, int kernel, int stride) {                                                              \
        max_pool2d_input(dy, places, dx, count, Pooling{h, w, c, oh, ow, kernel, stride});             \
    }
MAX_POOL(f32, float)
MAX_POOL(bf16, bf16)
