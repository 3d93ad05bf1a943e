// One optimizer step over many parameters in one launch.
//
// `parameters` is a table of addresses and coefficients, `blocks` tells each block its parameter and its first element.
// `scale`, where given, is a factor on gradients.

struct Parameter {
    float* value;
    const float* gradient;
    float* first;
    float* second;
    long long length;
    float rate, shrink;
};

struct Block {
    long long parameter, start;
};

#define PER_BLOCK 2048

// v <- momentum*v + s*g, then p <- shrink*p - rate*(s*g + momentum*v).
extern "C" __global__ void optimizer_sgd(
    const long long* parameters, const long long* blocks, const float* scale, float momentum) {
    Block block = ((const Block*)blocks)[blockIdx.x];
    Parameter p = ((const Parameter*)parameters)[block.parameter];
    long long end = min(p.length, block.start + PER_BLOCK);
    float factor = scale ? *scale : 1.0f;
    for (long long i = block.start + threadIdx.x; i < end; i += blockDim.x) {
        float g = factor * p.gradient[i];
        float v = momentum * p.first[i] + g;
        p.first[i] = v;
        p.value[i] = p.shrink * p.value[i] - p.rate * (g + momentum * v);
    }
}

// m <- b1*m + (1-b1)*s*g, v <- b2*v + (1-b2)*(s*g)^2, then p <- shrink*p - rate*m/(sqrt(v/correction) + epsilon);
// the rate holds the first moment's correction.
extern "C" __global__ void optimizer_adamw(
    const long long* parameters, const long long* blocks, const float* scale, float beta1, float beta2,
    float on_first, float on_second, float correction, float epsilon) {
    Block block = ((const Block*)blocks)[blockIdx.x];
    Parameter p = ((const Parameter*)parameters)[block.parameter];
    long long end = min(p.length, block.start + PER_BLOCK);
    float factor = scale ? *scale : 1.0f;
    for (long long i = block.start + threadIdx.x; i < end; i += blockDim.x) {
        float g = factor * p.gradient[i];
        float m = beta1 * p.first[i] + on_first * g;
        float v = beta2 * p.second[i] + on_second * g * g;
        p.first[i] = m;
        p.second[i] = v;
        p.value[i] = p.shrink * p.value[i] - p.rate * m / (sqrtf(v * correction) + epsilon);
    }
}

// a <- a + weight*(b - a): the step of a moving average, a the value and b the gradient of the table.
extern "C" __global__ void optimizer_average(
    const long long* parameters, const long long* blocks, float weight) {
    Block block = ((const Block*)blocks)[blockIdx.x];
    Parameter p = ((const Parameter*)parameters)[block.parameter];
    long long end = min(p.length, block.start + PER_BLOCK);
    for (long long i = block.start + threadIdx.x; i < end; i += blockDim.x) {
        p.value[i] = (1.0f - weight) * p.value[i] + weight * p.gradient[i];
    }
}

// Adds up a block's 256 values; the sum is the first thread's.
__device__ inline float block_sum(float value) {
    __shared__ float sums[256];
    int tid = threadIdx.x;
    sums[tid] = value;
    for (int half = 128; half > 0; half /= 2) {
        __syncthreads();
        if (tid < half) sums[tid] += sums[tid + half];
    }
    return sums[0];
}

// Each block's share of the sum of squares of all gradients.
extern "C" __global__ void optimizer_squares(
    const long long* parameters, const long long* blocks, float* shares) {
    Block block = ((const Block*)blocks)[blockIdx.x];
    Parameter p = ((const Parameter*)parameters)[block.parameter];
    long long end = min(p.length, block.start + PER_BLOCK);
    float sum = 0.0f;
    for (long long i = block.start + threadIdx.x; i < end; i += blockDim.x) {
        sum = fmaf(p.gradient[i], p.gradient[i], sum);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) shares[blockIdx.x] = sum;
}

// The norm, and the factor that brings it to `limit` where it is above.
extern "C" __global__ void optimizer_clip(const float* shares, float* clipped, int count, float limit) {
    float sum = 0.0f;
    for (int i = threadIdx.x; i < count; i += blockDim.x) sum += shares[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        float norm = sqrtf(sum);
        clipped[0] = norm;
        clipped[1] = norm > limit ? limit / norm : 1.0f;
    }
}
