// Kernels with one fault each, which the tests' machine must notice.

extern "C" __global__ void fault_none(float* to) {
    __shared__ float values[64];
    int next = (threadIdx.x + 1) % 64;
    values[threadIdx.x] = threadIdx.x;
    __syncthreads();
    to[blockIdx.x * 64 + threadIdx.x] = values[next];
}

// Reads what another thread has not written yet.
extern "C" __global__ void fault_race(float* to) {
    __shared__ float values[64];
    int next = (threadIdx.x + 1) % 64;
    values[threadIdx.x] = threadIdx.x;
    to[blockIdx.x * 64 + threadIdx.x] = values[next];
    __syncthreads();
    values[threadIdx.x] = -1.0f;
}

extern "C" __global__ void fault_before(float* to) { to[(int)threadIdx.x - 1] = threadIdx.x; }

extern "C" __global__ void fault_left(float* to) {
    if (threadIdx.x == 3) return;
    __syncthreads();
    to[threadIdx.x] = threadIdx.x;
}
