package dev.graft.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.engine.Workspace;
import dev.graft.tensor.BFloat16;
import org.junit.jupiter.api.Test;

/** Many parameters, one array. */
class FlatParametersTest {
    private final ReferenceEngine engine = new ReferenceEngine();

    @Test
    void parametersStartOn64ByteBoundariesAndDoNotOverlap() {
        FlatParameters.Layout layout = new FlatParameters.Layout();
        FlatParameters.Slot first = layout.add("first", 3, 5);
        FlatParameters.Slot second = layout.add("second", 1, 17);
        FlatParameters.Slot third = layout.add("third", 2, 16);
        assertThat(first.offset()).isZero();
        assertThat(second.offset()).isEqualTo(16);
        assertThat(third.offset()).isEqualTo(48);
        try (Workspace workspace = new Workspace(engine)) {
            FlatParameters parameters = new FlatParameters(layout, workspace, Precision.F32, true);
            assertThat(parameters.count()).isEqualTo(15 + 17 + 32);
            assertThat(parameters.values().cols()).isEqualTo(80);
            float[] ones = new float[17];
            java.util.Arrays.fill(ones, 1);
            engine.upload(ones, parameters.value(second));
            float[] all = engine.download(parameters.values());
            for (int i = 0; i < all.length; i++) {
                assertThat(all[i]).as("element " + i).isEqualTo(i >= 16 && i < 33 ? 1 : 0);
            }
            assertThat(parameters.gradient(third)).hasToString("f32[2, 16]");
        }
    }

    @Test
    void bf16CopiesFollowTheValuesOnlyWhenRefreshed() {
        FlatParameters.Layout layout = new FlatParameters.Layout();
        FlatParameters.Slot slot = layout.add("a", 1, 2);
        try (Workspace workspace = new Workspace(engine)) {
            FlatParameters parameters = new FlatParameters(layout, workspace, Precision.BF16, false);
            engine.upload(new float[] {1.01f, -3.3f}, parameters.value(slot));
            assertThat(engine.download(parameters.compute(slot))).containsExactly(0, 0);
            parameters.refresh(engine);
            assertThat(engine.download(parameters.compute(slot)))
                    .containsExactly(BFloat16.round(1.01f), BFloat16.round(-3.3f));
            assertThat(engine.download(parameters.value(slot))).containsExactly(1.01f, -3.3f);
            assertThat(parameters.hasGradients()).isFalse();
            assertThatThrownBy(parameters::gradients).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void moreThanAnArrayHoldsIsRefusedWithTheRemedy() {
        FlatParameters.Layout layout = new FlatParameters.Layout();
        layout.add("large", 1 << 15, 1 << 15);
        assertThatThrownBy(() -> layout.add("larger", 1 << 15, 1 << 15))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("larger")
                .hasMessageContaining("--rank");
    }
}
