package dev.graft.benchmarks.gpu;

import dev.graft.cuda.CudaEngine;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Projection;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A linear layer of a decoder, of one projection or of several that share their input, with an adapter on each or none. */
final class LoraLayer implements AutoCloseable {
    /** s = α / r with α = 2 r. */
    static final float SCALE = 2;

    private static final int STREAM_X = 1;
    private static final int STREAMS_OF_A_PROJECTION = 10;

    /**
     * @param in K
     * @param out N of each projection
     */
    record Shape(String name, int in, List<Integer> out) {
        int totalOut() {
            return out.stream().mapToInt(Integer::intValue).sum();
        }

        /** Operations of the frozen products of one pass over {@code rows} tokens; forward and backward alike. */
        double frozenFlops(int rows) {
            return 2.0 * rows * in * totalOut();
        }

        /** Operations of the low-rank products: x Aᵀ and h Bᵀ, or u, dB, dA and dx's part. */
        double lowRankFlops(int rows, int rank, boolean backward) {
            double once = 2.0 * rows * rank * ((double) in * out.size() + totalOut());
            return backward ? 2 * once : once;
        }
    }

    /** A low-rank pair, with where its gradients go. */
    record Adapter(RandomMatrix a, RandomMatrix b, LoraTerm term) {}

    /** One projection: its numbers, and where they lie on the device. */
    record Part(
            RandomMatrix weight,
            RandomMatrix dy,
            TensorView frozen,
            Tensor y,
            Tensor dyCopy,
            @Nullable Adapter adapter) {
        private Projection projection(Tensor output) {
            return new Projection(
                    frozen, null, adapter == null ? List.of() : List.of(adapter.term), output, null, null, null);
        }
    }

    /** More than gate and up of Llama 3 8B take, with x, y, dx and dy. */
    private static final long MOST_BYTES = 2L << 30;

    private final CudaEngine engine;
    private final Workspace workspace;
    private final DType dtype;
    private final int rows;
    private final int rank;
    private final RandomMatrix x;
    private final Tensor xCopy;
    private final Tensor dx;
    private final List<Part> parts = new ArrayList<>();
    private final List<Projection> forward;
    private final List<Projection> backward;

    /** @param rank 0 for the frozen layer alone */
    LoraLayer(CudaEngine engine, Shape shape, DType dtype, int rows, int rank) {
        this.engine = engine;
        this.workspace = new Workspace(engine);
        // in one piece, so that equal products are done together in every way of multiplying
        engine.reserve(MOST_BYTES, 0);
        this.dtype = dtype;
        this.rows = rows;
        this.rank = rank;
        x = new RandomMatrix(STREAM_X, dtype, rows, shape.in, 1);
        xCopy = x.uploadBordered(engine, workspace);
        dx = workspace.bordered(MemoryKind.WORKSPACE, "dx", dtype, rows, shape.in);
        for (int out : shape.out) {
            parts.add(part(STREAMS_OF_A_PROJECTION * (1 + parts.size()), shape.in, out));
        }
        forward = parts.stream().map(part -> part.projection(part.y)).toList();
        backward = parts.stream().map(part -> part.projection(part.dyCopy)).toList();
    }

    private Part part(int stream, int in, int out) {
        RandomMatrix weight = new RandomMatrix(stream, dtype, out, in, 0.05f);
        RandomMatrix dy = new RandomMatrix(stream + 1, dtype, rows, out, 1);
        return new Part(
                weight,
                dy,
                weight.freeze(engine),
                workspace.bordered(MemoryKind.WORKSPACE, "y", dtype, rows, out),
                dy.uploadBordered(engine, workspace),
                rank == 0 ? null : adapter(stream + 2, in, out));
    }

    private Adapter adapter(int stream, int in, int out) {
        RandomMatrix a = new RandomMatrix(stream, dtype, rank, in, 0.05f);
        RandomMatrix b = new RandomMatrix(stream + 1, dtype, out, rank, 0.05f);
        LoraTerm term = new LoraTerm(
                0,
                rows,
                a.upload(engine, workspace),
                b.upload(engine, workspace),
                SCALE,
                workspace.tensor(MemoryKind.WORKSPACE, "h", dtype, rows, rank),
                null,
                null,
                new LoraTerm.Gradients(
                        workspace.tensor(MemoryKind.GRADIENTS, "dA", DType.F32, rank, in),
                        workspace.tensor(MemoryKind.GRADIENTS, "dB", DType.F32, out, rank),
                        workspace.tensor(MemoryKind.WORKSPACE, "u", dtype, rows, rank)));
        return new Adapter(a, b, term);
    }

    /** Enqueues {@code y = x W0ᵀ + s (x Aᵀ) Bᵀ}. */
    void forward() {
        engine.linearForward(xCopy, forward);
    }

    /** Enqueues dx, dA and dB. */
    void backward() {
        engine.linearBackward(xCopy, backward, dx);
    }

    CudaEngine engine() {
        return engine;
    }

    int rows() {
        return rows;
    }

    RandomMatrix x() {
        return x;
    }

    Tensor dx() {
        return dx;
    }

    List<Part> parts() {
        return parts;
    }

    @Override
    public void close() {
        parts.forEach(part -> part.frozen.memory().close());
        workspace.close();
    }
}
