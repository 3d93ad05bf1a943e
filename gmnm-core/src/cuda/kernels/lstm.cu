// A long short-term memory over a whole sequence; gates in PyTorch's order (input, forget, cell, output).
//
// A block takes two sequences of the batch through all steps: between two of them nothing leaves the multiprocessor but
// the recurrent weights' way in from the second-level cache.
//
// Shapes: gates and their gradients [steps, batch, 4*size]; cells [steps, batch, size]; hidden values
// [steps + 1, batch, size], the last cells after them.

#define SEQUENCES 2    // of a block
#define MOST_HIDDEN 512

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// From the products of the input [steps, batch, 4*size], with `recurrent` [size, 4*size]. `gates` are those after their
// functions.
extern "C" __global__ void __launch_bounds__(512) lstm_forward(
    const float* inputs, const float* recurrent, const float* bias, const float* first_hidden,
    const float* first_cells, float* gates, float* cells, float* hidden, int steps, int batch, int size) {
    __shared__ float h[SEQUENCES][MOST_HIDDEN];
    __shared__ float z[SEQUENCES][4 * MOST_HIDDEN];
    int first = blockIdx.x * SEQUENCES, rows = min(SEQUENCES, batch - first), four = 4 * size;
    for (int i = threadIdx.x; i < SEQUENCES * size; i += blockDim.x) {
        int row = i / size, j = i % size;
        h[row][j] = row < rows ? first_hidden[(long long)(first + row) * size + j] : 0.0f;
    }
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        long long before = (long long)step * batch + first;
        for (int q = threadIdx.x; q < four; q += blockDim.x) {
            float sums[SEQUENCES];
            for (int row = 0; row < SEQUENCES; row++) {
                sums[row] = row < rows ? inputs[(before + row) * four + q] + bias[q] : 0.0f;
            }
            const float* weight = recurrent + q;
#pragma unroll 16
            for (int j = 0; j < size; j++) {
                float w = weight[(long long)j * four];
                for (int row = 0; row < SEQUENCES; row++) sums[row] = fmaf(h[row][j], w, sums[row]);
            }
            for (int row = 0; row < SEQUENCES; row++) z[row][q] = sums[row];
        }
        __syncthreads();
        for (int i = threadIdx.x; i < rows * size; i += blockDim.x) {
            int row = i / size, j = i % size;
            float in = sigmoid(z[row][j]), forget = sigmoid(z[row][size + j]);
            float cell = tanhf(z[row][2 * size + j]), out = sigmoid(z[row][3 * size + j]);
            float* gate = gates + (before + row) * four + j;
            gate[0] = in;
            gate[size] = forget;
            gate[2 * size] = cell;
            gate[3 * size] = out;
            long long at = (before + row) * size + j;
            // A thread reads what it wrote itself a step ago.
            float c = step == 0 ? first_cells[at] : cells[at - (long long)batch * size];
            c = fmaf(forget, c, in * cell);
            cells[at] = c;
            h[row][j] = out * tanhf(c);
            hidden[at] = h[row][j];
            if (step + 1 == steps) hidden[at + (long long)batch * size] = c;
        }
        __syncthreads();
    }
}

// Backwards: from the gradients of hidden values and last cells, `from_output` as `hidden` lies, to those of the gates
// before their functions, `slopes`, and to those of the first hidden values and cells [2, batch, size]; with `recurrent`
// [4*size, size].
extern "C" __global__ void __launch_bounds__(512) lstm_backward(
    const float* gates, const float* cells, const float* first_cells, const float* from_output,
    const float* recurrent, float* slopes, float* first, int steps, int batch, int size) {
    __shared__ float g[SEQUENCES][4 * MOST_HIDDEN];
    __shared__ float dc[SEQUENCES][MOST_HIDDEN];
    // Parts of the gradient through the next step, [part][unit].
    __shared__ float parts[SEQUENCES][512];
    int start = blockIdx.x * SEQUENCES, rows = min(SEQUENCES, batch - start), four = 4 * size;
    int count = min((int)blockDim.x / size, 4);
    int share = (four + count - 1) / count;
    long long layer = (long long)batch * size;
    for (int i = threadIdx.x; i < SEQUENCES * size; i += blockDim.x) {
        int row = i / size, j = i % size;
        dc[row][j] = row < rows ? from_output[steps * layer + (long long)(start + row) * size + j] : 0.0f;
        for (int part = 0; part < count; part++) parts[row][part * size + j] = 0.0f;
    }
    for (int i = threadIdx.x; i < SEQUENCES * four; i += blockDim.x) g[i / four][i % four] = 0.0f;
    __syncthreads();
    for (int step = steps - 1; step >= 0; step--) {
        long long before = (long long)step * batch + start;
        for (int i = threadIdx.x; i < rows * size; i += blockDim.x) {
            int row = i / size, j = i % size;
            long long at = (before + row) * size + j;
            const float* gate = gates + (before + row) * four + j;
            float in = gate[0], forget = gate[size], cell = gate[2 * size], out = gate[3 * size];
            float dh = from_output[at], t = tanhf(cells[at]);
            for (int part = 0; part < count; part++) dh += parts[row][part * size + j];
            float d = dc[row][j] + dh * out * (1.0f - t * t);
            float previous = step == 0 ? first_cells[at] : cells[at - layer];
            float slope[4] = {
                d * cell * in * (1.0f - in), d * previous * forget * (1.0f - forget),
                d * in * (1.0f - cell * cell), dh * t * out * (1.0f - out)};
            for (int k = 0; k < 4; k++) {
                g[row][k * size + j] = slope[k];
                slopes[(before + row) * four + k * size + j] = slope[k];
            }
            dc[row][j] = d * forget;
        }
        __syncthreads();
        if ((int)threadIdx.x < count * size) {
            int j = threadIdx.x % size, part = threadIdx.x / size;
            int from = part * share, to = min(four, from + share);
            float sums[SEQUENCES] = {};
            const float* weight = recurrent + j;
#pragma unroll 16
            for (int q = from; q < to; q++) {
                float w = weight[(long long)q * size];
                for (int row = 0; row < SEQUENCES; row++) sums[row] = fmaf(g[row][q], w, sums[row]);
            }
            for (int row = 0; row < SEQUENCES; row++) parts[row][part * size + j] = sums[row];
        }
        __syncthreads();
    }
    for (int i = threadIdx.x; i < rows * size; i += blockDim.x) {
        int row = i / size, j = i % size;
        float dh = 0.0f;
        for (int part = 0; part < count; part++) dh += parts[row][part * size + j];
        first[(long long)(start + row) * size + j] = dh;
        first[layer + (long long)(start + row) * size + j] = dc[row][j];
    }
}
