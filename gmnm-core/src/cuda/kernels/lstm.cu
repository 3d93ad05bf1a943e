// A long short-term memory over a whole sequence; gates in PyTorch's order (input, forget, cell, output).
//
// A block takes two sequences of the batch through all steps. The first weights of each thread stay in its registers, the
// others come from the second-level cache in each step.
//
// Shapes: gates and their gradients [steps, batch, 4*size]; cells [steps, batch, size]; hidden values
// [steps + 1, batch, size], the last cells after them.

#define SEQUENCES 2    // of a block
#define MOST_HIDDEN 512
#define KEPT 64  // weights that a thread keeps

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// The first of `count` weights, `pitch` apart; zeros where there are fewer.
__device__ inline void keep(float kept[KEPT], const float* weight, long long pitch, int count) {
#pragma unroll
    for (int i = 0; i < KEPT; i++) kept[i] = i < count ? weight[i * pitch] : 0.0f;
}

// sums += values*kept for both sequences; the values are read beyond their end, where the weights are zero.
__device__ inline void add_kept(
    float sums[SEQUENCES], const float kept[KEPT], const float* first, const float* second) {
#pragma unroll
    for (int i = 0; i < KEPT; i += 4) {
        float4 a = *(const float4*)&first[i], b = *(const float4*)&second[i];
        sums[0] = fmaf(a.x, kept[i], sums[0]);
        sums[1] = fmaf(b.x, kept[i], sums[1]);
        sums[0] = fmaf(a.y, kept[i + 1], sums[0]);
        sums[1] = fmaf(b.y, kept[i + 1], sums[1]);
        sums[0] = fmaf(a.z, kept[i + 2], sums[0]);
        sums[1] = fmaf(b.z, kept[i + 2], sums[1]);
        sums[0] = fmaf(a.w, kept[i + 3], sums[0]);
        sums[1] = fmaf(b.w, kept[i + 3], sums[1]);
    }
}

// sums += values*weights for both sequences, from `done` to `count`; weights are `pitch` apart.
__device__ inline void add_others(
    float sums[SEQUENCES], const float* weight, long long pitch, int done, int count, const float* first,
    const float* second) {
#pragma unroll 16
    for (int i = done; i < count; i++) {
        float w = weight[i * pitch];
        sums[0] = fmaf(first[i], w, sums[0]);
        sums[1] = fmaf(second[i], w, sums[1]);
    }
}

// One number of each sequence that there is. Asked for before a sum, it is there after it.
__device__ inline void take(float given[SEQUENCES], const float* from, long long pitch, int rows) {
    for (int row = 0; row < SEQUENCES; row++) given[row] = row < rows ? from[row * pitch] : 0.0f;
}

// From the products of the input [steps, batch, 4*size], with `recurrent` [size, 4*size]. `gates` are those after their
// functions.
extern "C" __global__ void __launch_bounds__(512, 1) lstm_forward(
    const float* inputs, const float* recurrent, const float* bias, const float* first_hidden,
    const float* first_cells, float* gates, float* cells, float* hidden, int steps, int batch, int size) {
    __shared__ __align__(16) float h[SEQUENCES][MOST_HIDDEN];
    __shared__ float z[SEQUENCES][4 * MOST_HIDDEN];
    int first = blockIdx.x * SEQUENCES, rows = min(SEQUENCES, batch - first), four = 4 * size;
    float kept[KEPT];
    keep(kept, recurrent + threadIdx.x, four, (int)threadIdx.x < four ? size : 0);
    for (int i = threadIdx.x; i < SEQUENCES * MOST_HIDDEN; i += blockDim.x) {
        int row = i / MOST_HIDDEN, j = i % MOST_HIDDEN;
        bool inside = row < rows && j < size;
        h[row][j] = inside ? first_hidden[(long long)(first + row) * size + j] : 0.0f;
    }
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        long long before = (long long)step * batch + first;
        int q = threadIdx.x;
        if (q < four) {
            float given[SEQUENCES], sums[SEQUENCES] = {};
            take(given, inputs + before * four + q, four, rows);
            add_kept(sums, kept, h[0], h[1]);
            add_others(sums, recurrent + q, four, KEPT, size, h[0], h[1]);
            for (int row = 0; row < SEQUENCES; row++) z[row][q] = sums[row] + (given[row] + bias[q]);
        }
#pragma unroll 1
        for (q += blockDim.x; q < four; q += blockDim.x) {
            float given[SEQUENCES], sums[SEQUENCES] = {};
            take(given, inputs + before * four + q, four, rows);
            add_others(sums, recurrent + q, four, 0, size, h[0], h[1]);
            for (int row = 0; row < SEQUENCES; row++) z[row][q] = sums[row] + (given[row] + bias[q]);
        }
        __syncthreads();
        // Unrolled, it would take the registers of the weights.
#pragma unroll 1
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
extern "C" __global__ void __launch_bounds__(512, 1) lstm_backward(
    const float* gates, const float* cells, const float* first_cells, const float* from_output,
    const float* recurrent, float* slopes, float* first, int steps, int batch, int size) {
    __shared__ __align__(16) float g[SEQUENCES][4 * MOST_HIDDEN];
    __shared__ float dc[SEQUENCES][MOST_HIDDEN];
    // Parts of the gradient through the next step, [part][unit].
    __shared__ float parts[SEQUENCES][512];
    int start = blockIdx.x * SEQUENCES, rows = min(SEQUENCES, batch - start), four = 4 * size;
    int count = min((int)blockDim.x / size, 4);
    // Of the gates, for each part; a multiple of 4.
    int share = ((four + count - 1) / count + 3) / 4 * 4;
    int unit = threadIdx.x % size, part = threadIdx.x / size, from = part * share;
    int own = part < count ? max(0, min(share, four - from)) : 0;
    long long layer = (long long)batch * size;
    float kept[KEPT];
    keep(kept, recurrent + (long long)from * size + unit, size, own);
    for (int i = threadIdx.x; i < SEQUENCES * size; i += blockDim.x) {
        int row = i / size, j = i % size;
        dc[row][j] = row < rows ? from_output[steps * layer + (long long)(start + row) * size + j] : 0.0f;
        for (int part = 0; part < count; part++) parts[row][part * size + j] = 0.0f;
    }
    for (int i = threadIdx.x; i < SEQUENCES * 4 * MOST_HIDDEN; i += blockDim.x) {
        g[i / (4 * MOST_HIDDEN)][i % (4 * MOST_HIDDEN)] = 0.0f;
    }
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
        if (own > 0) {
            float sums[SEQUENCES] = {};
            add_kept(sums, kept, g[0] + from, g[1] + from);
            const float* weight = recurrent + (long long)from * size + unit;
            add_others(sums, weight, size, KEPT, own, g[0] + from, g[1] + from);
            for (int row = 0; row < SEQUENCES; row++) parts[row][part * size + unit] = sums[row];
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
