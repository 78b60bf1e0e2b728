package dev.graft.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.tensor.HostMemory;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class CpuMemoryTest {
    @Test
    void memoryIsAlignedZeroedAndCounted() {
        long before = CpuMemory.liveBytes();
        HostMemory memory = CpuMemory.allocate(1000);
        assertThat(memory.segment().address() % 64).isZero();
        assertThat(memory.segment().toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
        assertThat(CpuMemory.liveBytes() - before).isEqualTo(1000);
        memory.close();
        memory.close();
        assertThat(CpuMemory.liveBytes()).isEqualTo(before);
        assertThatThrownBy(() -> memory.segment().get(ValueLayout.JAVA_BYTE, 0))
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void refusesWhatTheMachineHasNot() {
        long before = CpuMemory.liveBytes();
        assertThatThrownBy(() -> CpuMemory.allocate(1L << 60))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("1152921504606846976 bytes asked for")
                .hasMessageContaining("available")
                .hasMessageNotContaining("\n");
        assertThatThrownBy(() -> CpuMemory.allocate(-1)).isInstanceOf(IllegalArgumentException.class);
        assertThat(CpuMemory.liveBytes()).isEqualTo(before);
    }

    @Test
    void knowsWhatIsAvailable() {
        assertThat(CpuMemory.availableBytes()).isBetween(1L << 20, 1L << 50);
    }
}
