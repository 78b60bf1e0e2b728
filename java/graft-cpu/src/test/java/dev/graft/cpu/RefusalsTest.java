package dev.graft.cpu;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.engine.AttentionShape;
import dev.graft.engine.Dropout;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.PlanningAllocator;
import dev.graft.engine.Projection;
import dev.graft.engine.Sequences;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;

/** Operands that do not fit are refused in one line that names the operation and the operands. */
class RefusalsTest {
    private final CpuEngine engine = new CpuEngine(new WorkerPool(3));
    private final Workspace workspace = new Workspace(engine);

    @AfterEach
    void close() {
        workspace.close();
        engine.close();
    }

    private Tensor f32(int rows, int cols) {
        return tensor(DType.F32, rows, cols);
    }

    private Tensor tensor(DType dtype, int rows, int cols) {
        return workspace.tensor(MemoryKind.WORKSPACE, "", dtype, rows, cols);
    }

    private static void assertRefused(String message, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage(message);
    }

    @Test
    void linear() {
        Projection projection = new Projection(f32(192, 512), null, List.of(), f32(5, 192), null, null, null);
        assertRefused(
                "shape mismatch in linearForward: x f32[5, 576], weight f32[192, 512]",
                () -> engine.linearForward(f32(5, 576), List.of(projection)));
        Projection mixed = new Projection(tensor(DType.BF16, 7, 5), null, List.of(), f32(3, 7), null, null, null);
        assertRefused(
                "dtype mismatch in linearBackward: x f32[3, 5], weight bf16[7, 5], y f32[3, 7], dx f32[3, 5]",
                () -> engine.linearBackward(f32(3, 5), List.of(mixed), f32(3, 5)));
    }

    @Test
    void shapesOfTheOthers() {
        Tensor x = f32(4, 6);
        assertRefused(
                "shape mismatch in swigluForward: gate f32[4, 6], up f32[4, 5], y f32[4, 6]",
                () -> engine.swigluForward(x, f32(4, 5), x));
        assertRefused(
                "shape mismatch in geluBackward: dy f32[4, 6], x f32[4, 5], dx f32[4, 6]",
                () -> engine.geluBackward(x, f32(4, 5), x));
        assertRefused(
                "dtype mismatch in add: a f32[4, 6], b bf16[4, 6], y f32[4, 6]",
                () -> engine.add(x, tensor(DType.BF16, 4, 6), x));
        assertRefused(
                "shape mismatch in rmsNormForward: x f32[4, 6], weight f32[1, 5], rstd f32[1, 4], y f32[4, 6]",
                () -> engine.rmsNormForward(x, f32(1, 5), 1e-5f, x, f32(1, 4)));
        assertRefused(
                "shape mismatch in rope: heads of 3, x f32[4, 6], cosSin f32[9, 3], positions i32[1, 4]",
                () -> engine.rope(x, f32(9, 3), tensor(DType.I32, 1, 4), 3, false));
        assertRefused(
                "shape mismatch in convert: source f32[4, 6], destination f32[6, 4]",
                () -> engine.convert(x, f32(6, 4)));
    }

    @Test
    void rescaling() {
        Tensor x = f32(4, 6);
        Tensor row = f32(1, 6);
        assertRefused(
                "shape mismatch in rowNorms: weight f32[4, 6], A f32[2, 6], B f32[4, 3], norms f32[1, 4]",
                () -> engine.rowNorms(x, f32(2, 6), f32(4, 3), 1, f32(1, 4)));
        assertRefused(
                "shape mismatch in rescaleForward: z f32[4, 6], magnitude f32[1, 6], y f32[4, 6]",
                () -> engine.rescaleForward(x, row, null, null, null, x));
        assertRefused(
                "dtype mismatch in rescaleBackward: dy f32[4, 6], z bf16[4, 6], magnitude f32[1, 6], norms f32[1, 6],"
                        + " dz f32[4, 6], magnitudeGradient f32[1, 6]",
                () -> engine.rescaleBackward(x, tensor(DType.BF16, 4, 6), row, row, x, row));
        assertRefused(
                "shape mismatch in dropout: x f32[4, 6], y f32[4, 5]",
                () -> engine.dropout(x, new Dropout(0, 0, 0, 0), false, false, f32(4, 5)));
    }

    @Test
    void indices() {
        Tensor index = tensor(DType.I32, 1, 4);
        engine.upload(new int[] {0, 1, 9, 2}, index);
        assertRefused(
                "index out of range in gatherRows: 9 at place 2, not in 0 to 8",
                () -> engine.gatherRows(f32(9, 6), index, f32(4, 6)));
        assertRefused(
                "index out of range in crossEntropy: 9 at place 2, not in 0 to 5",
                () -> engine.crossEntropy(f32(4, 6), index, 1, f32(1, 4), null));
    }

    @Test
    void planningTensors() {
        Tensor planned =
                new PlanningAllocator(engine.bufferLayout()).tensor(MemoryKind.ACTIVATIONS, "", DType.F32, 2, 3);
        assertRefused(
                "tensor f32[2, 3] does not lie in this engine's memory", () -> engine.upload(new float[6], planned));
    }

    /** A worker that fails must not leave others waiting for their turn. */
    @Test
    void freedMemoryEndsAttentionInsteadOfHangingIt() {
        int rows = 500;
        Tensor x = f32(rows, 16);
        Tensor lse = f32(rows, 1);
        Tensor freed = Tensor.of(engine.allocate(rows * 64), 0, DType.F32, rows, 16);
        freed.memory().close();
        AttentionShape shape = new AttentionShape(1, 1, 16, 1, 0);
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(20),
                () -> assertThatThrownBy(() -> engine.attentionBackward(
                                shape, Sequences.packed(rows), x, x, x, x, lse, x, freed, f32(rows, 16), f32(rows, 16)))
                        .isInstanceOf(IllegalStateException.class));
    }
}
