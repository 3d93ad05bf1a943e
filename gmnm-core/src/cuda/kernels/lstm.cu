// One step of a long short-term memory, all but its product: gates in PyTorch's order (input, forget, cell, output).

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// From the products of the input (with the biases) and of the hidden values: gates after their functions, cells and
// hidden values. `gates` may lie where `inputs` does.
extern "C" __global__ void lstm_forward(
    const float* inputs, const float* products, const float* bias, const float* before, float* gates,
    float* cells, float* hidden, int batch, int size) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)batch * size) return;
    int j = (int)(i % size);
    long long row = i / size * 4 * size + j;
    float z[4];
    for (int k = 0; k < 4; k++) {
        long long at = row + (long long)k * size;
        z[k] = inputs[at] + products[at] + bias[k * size + j];
    }
    float in = sigmoid(z[0]), forget = sigmoid(z[1]), cell = tanhf(z[2]), out = sigmoid(z[3]);
    gates[row] = in;
    gates[row + size] = forget;
    gates[row + 2LL * size] = cell;
    gates[row + 3LL * size] = out;
    float c = fmaf(forget, before[i], in * cell);
    cells[i] = c;
    hidden[i] = out * tanhf(c);
}

// Backwards: from the gradients of this step's hidden values (those of the output `from_output` and, where given, those
// through the next step, `from_next`) and of its cells, which become those of the step before, to those of the gates
// before their functions.
extern "C" __global__ void lstm_backward(
    const float* gates, const float* cells, const float* before, const float* from_output,
    const float* from_next, float* cell_gradient, float* gradient, int batch, int size) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)batch * size) return;
    int j = (int)(i % size);
    long long row = i / size * 4 * size + j;
    float in = gates[row], forget = gates[row + size];
    float cell = gates[row + 2LL * size], out = gates[row + 3LL * size];
    float dh = from_output[i] + (from_next ? from_next[i] : 0.0f), t = tanhf(cells[i]);
    float dc = cell_gradient[i] + dh * out * (1.0f - t * t);
    gradient[row] = dc * cell * in * (1.0f - in);
    gradient[row + size] = dc * before[i] * forget * (1.0f - forget);
    gradient[row + 2LL * size] = dc * in * (1.0f - cell * cell);
    gradient[row + 3LL * size] = dh * t * out * (1.0f - out);
    cell_gradient[i] = dc * forget;
}
