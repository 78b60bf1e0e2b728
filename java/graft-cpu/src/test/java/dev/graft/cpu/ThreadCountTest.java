package dev.graft.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.engine.AdamW;
import dev.graft.engine.AttentionShape;
import dev.graft.engine.Dropout;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.engine.Projection;
import dev.graft.engine.Sequences;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The number of threads changes no bit of what the kernels compute. Linear layers are tried in F32 only: how a bf16 product is
 * computed may depend on the tile that a thread gets, which {@link dev.graft.cpu.matmul.MatMul} allows.
 */
class ThreadCountTest {
    private static final int ROWS = 333;
    private static final int D = 96;
    private static final AttentionShape SHAPE = new AttentionShape(6, 2, 16, 0.25f, 70);

    @ParameterizedTest
    @EnumSource
    void changesNoBit(Precision precision) {
        List<float[]> expected = new Run(precision.compute()).results(1);
        for (int threads : new int[] {2, 3, 5}) {
            List<float[]> actual = new Run(precision.compute()).results(threads);
            for (int i = 0; i < expected.size(); i++) {
                assertThat(actual.get(i))
                        .as("result %d with %d threads", i, threads)
                        .isEqualTo(expected.get(i));
            }
        }
    }

    /** One pass through the operations that form sums. */
    private static final class Run {
        private final DType dtype;
        private final Random random = new Random(5);
        private final List<Tensor> results = new ArrayList<>();

        Run(DType dtype) {
            this.dtype = dtype;
        }

        List<float[]> results(int threads) {
            try (CpuEngine engine = new CpuEngine(new WorkerPool(threads));
                    Workspace workspace = new Workspace(engine)) {
                norm(engine, workspace);
                attention(engine, workspace);
                if (dtype == DType.F32) {
                    linear(engine, workspace);
                }
                rescaling(engine, workspace);
                rows(engine, workspace);
                optimizer(engine, workspace);
                return results.stream().map(engine::download).toList();
            }
        }

        private Tensor tensor(CpuEngine engine, Workspace workspace, DType type, int rows, int cols) {
            Tensor tensor = workspace.tensor(MemoryKind.WORKSPACE, "", type, rows, cols);
            float[] values = new float[rows * cols];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) random.nextGaussian();
            }
            engine.upload(values, tensor);
            return tensor;
        }

        private Tensor result(CpuEngine engine, Workspace workspace, DType type, int rows, int cols) {
            Tensor tensor = tensor(engine, workspace, type, rows, cols);
            results.add(tensor);
            return tensor;
        }

        private void norm(CpuEngine engine, Workspace workspace) {
            Tensor x = tensor(engine, workspace, dtype, ROWS, D);
            Tensor w = tensor(engine, workspace, dtype, 1, D);
            Tensor rstd = result(engine, workspace, DType.F32, 1, ROWS);
            Tensor y = result(engine, workspace, dtype, ROWS, D);
            Tensor dx = result(engine, workspace, dtype, ROWS, D);
            engine.rmsNormForward(x, w, 1e-5f, y, rstd);
            engine.rmsNormBackward(y, x, w, rstd, dx, true, result(engine, workspace, DType.F32, 1, D));
        }

        private void attention(CpuEngine engine, Workspace workspace) {
            Sequences sequences = Sequences.packed(200, 1, 0, 132);
            Tensor q = tensor(engine, workspace, dtype, ROWS, D);
            Tensor k = tensor(engine, workspace, dtype, ROWS, 32);
            Tensor v = tensor(engine, workspace, dtype, ROWS, 32);
            Tensor dO = tensor(engine, workspace, dtype, ROWS, D);
            Tensor o = result(engine, workspace, dtype, ROWS, D);
            Tensor lse = result(engine, workspace, DType.F32, ROWS, 6);
            Tensor dq = result(engine, workspace, dtype, ROWS, D);
            Tensor dk = result(engine, workspace, dtype, ROWS, 32);
            Tensor dv = result(engine, workspace, dtype, ROWS, 32);
            engine.attentionForward(SHAPE, sequences, q, k, v, o, lse);
            engine.attentionBackward(SHAPE, sequences, q, k, v, o, lse, dO, dq, dk, dv);
        }

        private void linear(CpuEngine engine, Workspace workspace) {
            int n = 160;
            int r = 8;
            Tensor x = tensor(engine, workspace, dtype, ROWS, D);
            LoraTerm.Gradients gradients = new LoraTerm.Gradients(
                    result(engine, workspace, DType.F32, r, D),
                    result(engine, workspace, DType.F32, n, r),
                    result(engine, workspace, dtype, ROWS, r));
            LoraTerm term = new LoraTerm(
                    0,
                    ROWS,
                    tensor(engine, workspace, dtype, r, D),
                    tensor(engine, workspace, dtype, n, r),
                    1.5f,
                    result(engine, workspace, dtype, ROWS, r),
                    new Dropout(0.1f, 1, 2, 3),
                    result(engine, workspace, dtype, ROWS, D),
                    gradients);
            Projection projection = new Projection(
                    tensor(engine, workspace, dtype, n, D),
                    tensor(engine, workspace, dtype, 1, n),
                    List.of(term),
                    result(engine, workspace, dtype, ROWS, n),
                    tensor(engine, workspace, dtype, ROWS, n),
                    result(engine, workspace, DType.F32, n, D),
                    result(engine, workspace, DType.F32, 1, n));
            engine.linearForward(x, List.of(projection));
            engine.linearBackward(x, List.of(projection), result(engine, workspace, dtype, ROWS, D));
        }

        private void rescaling(CpuEngine engine, Workspace workspace) {
            Tensor norms = result(engine, workspace, DType.F32, 1, D);
            engine.rowNorms(
                    tensor(engine, workspace, dtype, D, 160),
                    tensor(engine, workspace, DType.F32, 8, 160),
                    tensor(engine, workspace, DType.F32, D, 8),
                    1.5f,
                    norms);
            Tensor z = result(engine, workspace, dtype, ROWS, D);
            Tensor m = tensor(engine, workspace, DType.F32, 1, D);
            engine.dropout(
                    tensor(engine, workspace, dtype, ROWS, D),
                    new Dropout(0.1f, 1, 2, 3),
                    true,
                    false,
                    result(engine, workspace, dtype, ROWS, D));
            engine.rescaleForward(z, m, norms, null, null, result(engine, workspace, dtype, ROWS, D));
            engine.rescaleBackward(
                    tensor(engine, workspace, dtype, ROWS, D),
                    z,
                    m,
                    norms,
                    z,
                    result(engine, workspace, DType.F32, 1, D));
        }

        private void rows(CpuEngine engine, Workspace workspace) {
            Tensor index = workspace.tensor(MemoryKind.WORKSPACE, "", DType.I32, 1, ROWS);
            engine.upload(random.ints(ROWS, 0, 7).toArray(), index);
            Tensor y = tensor(engine, workspace, dtype, ROWS, D);
            engine.scatterAddRows(y, index, result(engine, workspace, DType.F32, 7, D));
        }

        private void optimizer(CpuEngine engine, Workspace workspace) {
            int n = 100_003;
            Tensor g = tensor(engine, workspace, DType.F32, 1, n);
            Tensor m2 = result(engine, workspace, DType.F32, 1, n);
            engine.zero(m2);
            Tensor sum = result(engine, workspace, DType.F32, 1, 1);
            engine.sumOfSquares(g, sum);
            engine.adamW(
                    new AdamW(1e-3, 0.9, 0.999, 1e-8, 0.1, 4, 1),
                    result(engine, workspace, DType.F32, 1, n),
                    g,
                    result(engine, workspace, DType.F32, 1, n),
                    m2,
                    sum);
        }
    }
}
