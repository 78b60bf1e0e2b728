package dev.graft.cpu.matmul;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.cpu.onednn.OneDnn;
import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

class OneDnnMatMulTest extends MatMulContract {
    @Override
    MatMul create(WorkerPool pool) {
        return new OneDnnMatMul(OneDnn.open(), pool);
    }

    @Test
    void refusesJavaArraysAndFreedMemory() {
        try (WorkerPool pool = new WorkerPool(1);
                MatMul matMul = create(pool)) {
            Tensor onHeap =
                    Tensor.of(HostMemory.borrowed(MemorySegment.ofArray(new float[64 * 64])), 0, DType.F32, 64, 64);
            assertThatThrownBy(() -> matMul.multiply(onHeap, false, onHeap, false, onHeap))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("Java array");

            Arena arena = Arena.ofShared();
            Tensor freed = Tensor.of(HostMemory.borrowed(arena.allocate(64 * 64 * 4)), 0, DType.F32, 64, 64);
            arena.close();
            assertThatThrownBy(() -> matMul.multiply(freed, false, freed, false, freed))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("freed");
        }
    }

    @Test
    void closesTwice() {
        try (WorkerPool pool = new WorkerPool(2)) {
            MatMul matMul = create(pool);
            matMul.close();
            matMul.close();
        }
    }

    @Test
    void isWhatThisPlatformGets() {
        try (WorkerPool pool = new WorkerPool(1);
                MatMul matMul = MatMul.create(pool)) {
            assertThat(matMul.description()).startsWith("oneDNN 3.").endsWith("on 1 thread");
        }
    }
}
