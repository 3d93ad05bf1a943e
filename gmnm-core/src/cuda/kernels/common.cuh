// What all kernels share. No header is included, so that the run-time compiler needs no files beside itself.

// The upper half of an IEEE single.
struct bf16 {
    unsigned short bits;
};

__device__ inline float widened(float x) { return x; }

__device__ inline float widened(bf16 x) { return __uint_as_float((unsigned int)x.bits << 16); }

__device__ inline void narrow_to(float* to, float x) { *to = x; }

// To the nearest, ties to even; a NaN stays one.
__device__ inline void narrow_to(bf16* to, float x) {
    unsigned int bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        to->bits = (unsigned short)((bits >> 16) | 0x40u);
    } else {
        to->bits = (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    }
}

enum Activation { IDENTITY = 0, RELU = 1, GELU = 2, SILU = 3 };

__device__ inline float activated(int activation, float z) {
    switch (activation) {
        case RELU:
            // In this order a NaN passes through.
            return z < 0.0f ? 0.0f : z;
        case GELU:
            return 0.5f * z * (1.0f + erff(z * 0.70710678118654752f));
        case SILU:
            return z / (1.0f + expf(-z));
        default:
            return z;
    }
}

__device__ inline float slope(int activation, float z) {
    switch (activation) {
        case RELU:
            return z > 0.0f ? 1.0f : 0.0f;
        case GELU:
            return 0.5f * (1.0f + erff(z * 0.70710678118654752f)) +
                   z * 0.39894228040143268f * expf(-0.5f * z * z);
        case SILU: {
            float s = 1.0f / (1.0f + expf(-z));
            return s * (1.0f + z * (1.0f - s));
        }
        default:
            return 1.0f;
    }
}
