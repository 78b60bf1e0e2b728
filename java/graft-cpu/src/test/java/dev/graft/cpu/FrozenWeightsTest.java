package dev.graft.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class FrozenWeightsTest {
    private static final int ROWS = 3;
    private static final int COLS = 37;

    @Test
    void whatFitsIsUsedWhereItLies() {
        try (CpuEngine engine = new CpuEngine(new WorkerPool(2));
                Arena arena = Arena.ofShared()) {
            MemorySegment stored = arena.allocate(ROWS * COLS * 4, 4);
            long before = CpuMemory.liveBytes();
            TensorView weight = engine.freeze(stored, DType.F32, ROWS, COLS, DType.F32);
            assertThat(segment(weight).address()).isEqualTo(stored.address());
            assertThat(CpuMemory.liveBytes() - before)
                    .isEqualTo(engine.freezeBytes(DType.F32, ROWS, COLS, DType.F32))
                    .isZero();
            assertReadOnly(weight);
        }
    }

    @Test
    void anOddAddressIsCopied() {
        try (CpuEngine engine = new CpuEngine(new WorkerPool(2));
                Arena arena = Arena.ofShared()) {
            MemorySegment stored = arena.allocate(ROWS * COLS * 4 + 1, 4).asSlice(1);
            for (int i = 0; i < ROWS * COLS; i++) {
                stored.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i, i / 7f);
            }
            long before = CpuMemory.liveBytes();
            TensorView weight = engine.freeze(stored, DType.F32, ROWS, COLS, DType.F32);
            assertThat(segment(weight).address() % 64).isZero();
            assertThat(engine.download(weight)[ROWS * COLS - 1]).isEqualTo((ROWS * COLS - 1) / 7f);
            assertReadOnly(weight);
            weight.memory().close();
            assertThat(CpuMemory.liveBytes()).isEqualTo(before);
        }
    }

    @Test
    void bytesThatDoNotMakeUpTheMatrixAreRefused() {
        try (CpuEngine engine = new CpuEngine(new WorkerPool(1));
                Arena arena = Arena.ofShared()) {
            MemorySegment stored = arena.allocate(100);
            assertThatThrownBy(() -> engine.freeze(stored, DType.F32, ROWS, COLS, DType.F32))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("cannot freeze 100 bytes as F32 [3, 37] for computing in F32");
            assertThatThrownBy(() -> engine.freeze(stored, DType.I32, 5, 5, DType.F32))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> engine.freeze(stored, DType.F32, 5, 5, DType.F16))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }

    private static MemorySegment segment(TensorView view) {
        return ((HostMemory) view.memory()).segment();
    }

    private static void assertReadOnly(TensorView weight) {
        assertThatThrownBy(() -> segment(weight).set(ValueLayout.JAVA_BYTE, 0, (byte) 1))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
