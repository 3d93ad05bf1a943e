// One optimizer step over many parameters in one launch.
//
// `parameters` is a table of addresses and coefficients, `blocks` tells each block its parameter and its first element.

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
    const long long* parameters, const long long* blocks, float scale, float momentum) {
    Block block = ((const Block*)blocks)[blockIdx.x];
    Parameter p = ((const Parameter*)parameters)[block.parameter];
    long long end = min(p.length, block.start + PER_BLOCK);
    for (long long i = block.start + threadIdx.x; i < end; i += blockDim.x) {
        float g = scale * p.gradient[i];
        float v = momentum * p.first[i] + g;
        p.first[i] = v;
        p.value[i] = p.shrink * p.value[i] - p.rate * (g + momentum * v);
    }
}

// m <- b1*m + (1-b1)*s*g, v <- b2*v + (1-b2)*(s*g)^2, then p <- shrink*p - rate*m/(sqrt(v/correction) + epsilon);
// the rate holds the first moment's correction.
extern "C" __global__ void optimizer_adamw(
    const long long* parameters, const long long* blocks, float scale, float beta1, float beta2,
    float on_first, float on_second, float correction, float epsilon) {
    Block block = ((const Block*)blocks)[blockIdx.x];
    Parameter p = ((const Parameter*)parameters)[block.parameter];
    long long end = min(p.length, block.start + PER_BLOCK);
    for (long long i = block.start + threadIdx.x; i < end; i += blockDim.x) {
        float g = scale * p.gradient[i];
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
