package dev.graft.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.entry;

import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is planned is what is allocated. */
class MemoryPlanTest {
    @Test
    void planningAndAllocatingGiveTheSameTensors() {
        PlanningAllocator planning = new PlanningAllocator(BufferLayout.PLAIN);
        List<Tensor> planned = build(planning);
        try (ReferenceEngine engine = new ReferenceEngine()) {
            long before = engine.availableBytes();
            try (Workspace workspace = new Workspace(engine)) {
                List<Tensor> real = build(workspace);
                assertThat(before - engine.availableBytes())
                        .isEqualTo(planning.plan().totalBytes());
                for (int i = 0; i < real.size(); i++) {
                    assertThat(real.get(i)).hasToString(planned.get(i).toString());
                    assertThat(real.get(i).memory().byteSize())
                            .isEqualTo(planned.get(i).memory().byteSize());
                    assertThat(engine.download(real.get(i))).containsOnly(0);
                }
            }
            assertThat(engine.availableBytes()).as("all freed").isEqualTo(before);
        }
    }

    private static List<Tensor> build(Allocator allocator) {
        List<Tensor> tensors = new ArrayList<>();
        tensors.add(allocator.tensor(MemoryKind.ACTIVATIONS, "x", DType.BF16, 3, 577));
        tensors.add(allocator.tensor(MemoryKind.GRADIENTS, "g", DType.F32, 1, 16));
        tensors.add(allocator.tensor(MemoryKind.ACTIVATIONS, "y", DType.F32, 1, 17));
        return tensors;
    }

    @Test
    void sizesAreRoundedUpTo64Bytes() {
        PlanningAllocator planning = new PlanningAllocator(BufferLayout.PLAIN);
        build(planning);
        assertThat(planning.plan().items())
                .containsExactly(
                        new MemoryPlan.Item(MemoryKind.ACTIVATIONS, "x", 3520),
                        new MemoryPlan.Item(MemoryKind.GRADIENTS, "g", 64),
                        new MemoryPlan.Item(MemoryKind.ACTIVATIONS, "y", 128));
    }

    @Test
    void anEmptyTensorStillHasAnAddress() {
        PlanningAllocator planning = new PlanningAllocator(BufferLayout.PLAIN);
        planning.tensor(MemoryKind.WORKSPACE, "none", DType.F32, 0, 8);
        assertThat(planning.plan().totalBytes()).isEqualTo(64);
    }

    @Test
    void largeBuffersDoNotOverflow() {
        PlanningAllocator planning = new PlanningAllocator(BufferLayout.PLAIN);
        planning.tensor(MemoryKind.WORKSPACE, "large", DType.F32, 1 << 17, 1 << 17);
        assertThat(planning.plan().totalBytes()).isEqualTo(1L << 36);
    }

    @Test
    void kindsAreSummedInTheirOrder() {
        MemoryPlan first = new MemoryPlan.Builder()
                .add(MemoryKind.WORKSPACE, "scratch", 5)
                .add(MemoryKind.TRAINABLE, "A", 1)
                .build();
        MemoryPlan second =
                new MemoryPlan.Builder().add(MemoryKind.TRAINABLE, "B", 2).build();
        assertThat(first.plus(second).bytesByKind())
                .containsExactly(entry(MemoryKind.TRAINABLE, 3L), entry(MemoryKind.WORKSPACE, 5L));
        assertThat(first.plus(second).totalBytes()).isEqualTo(8);
    }
}
