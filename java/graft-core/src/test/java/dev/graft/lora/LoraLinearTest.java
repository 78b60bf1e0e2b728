package dev.graft.lora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.engine.AdamW;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.engine.Workspace;
import dev.graft.testing.TinyModels;
import dev.graft.train.Optimizer;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A layer of its own: its formulas written out, and a problem that it solves. */
class LoraLinearTest {
    private static final int OUT = 5;
    private static final int IN = 7;
    private static final int ROWS = 6;
    private static final int RANK = 3;

    private final Engine engine = new ReferenceEngine();
    private final Random random = new Random(3);
    private final float[] weight = TinyModels.normal(random, OUT * IN, 0.5f);
    private final float[] x = TinyModels.normal(random, ROWS * IN, 1);

    private LoraLinear layer(Precision precision) {
        return LoraLinear.create(engine, precision, weight, OUT, IN, RANK, 6, 1, 8);
    }

    private LoraLinear randomLayer() {
        LoraLinear layer = layer(Precision.F32);
        layer.setWeights(TinyModels.normal(random, RANK * IN, 0.5f), TinyModels.normal(random, OUT * RANK, 0.5f));
        return layer;
    }

    @Test
    void startsAsTheFrozenWeight() {
        try (LoraLinear layer = layer(Precision.F32)) {
            float[] y = layer.forward(x, ROWS);
            for (int m = 0; m < ROWS; m++) {
                for (int n = 0; n < OUT; n++) {
                    double sum = 0;
                    for (int k = 0; k < IN; k++) {
                        sum += (double) x[m * IN + k] * weight[n * IN + k];
                    }
                    assertThat(y[m * OUT + n]).isEqualTo((float) sum);
                }
            }
            assertThat(layer.b()).containsOnly(0);
            assertThat(layer.a()).doesNotContain(0);
            assertThat(layer.merge()).isEqualTo(weight);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"pissa", "pissa_niter_8", "olora"})
    void startsAsTheWeightThatItTookOver(String init) {
        LoraConfig config = LoraConfig.builder()
                .rank(RANK)
                .alpha(6)
                .init(AdapterInit.parse(init))
                .build();
        try (LoraLinear plain = layer(Precision.F32);
                LoraLinear layer = LoraLinear.create(engine, Precision.F32, weight, OUT, IN, config, 1, 8)) {
            assertThat(layer.forward(x, ROWS)).containsExactly(plain.forward(x, ROWS), within(2e-6f));
            assertThat(layer.b()).doesNotContain(0);
            assertThat(layer.merge()).containsExactly(weight, within(1e-6f));
            assertThat(engine.download(layer.weight())).isNotEqualTo(weight);
        }
    }

    @Test
    void outputsAndGradientsFollowTheFormulas() {
        try (LoraLinear layer = randomLayer()) {
            float[] a = layer.a();
            float[] b = layer.b();
            float s = layer.scale();
            assertThat(s).isEqualTo(2);
            float[] merged = layer.merge();
            float[] y = layer.forward(x, ROWS);
            float[] dy = TinyModels.normal(random, ROWS * OUT, 1);
            float[] dx = layer.backward(dy);
            for (int m = 0; m < ROWS; m++) {
                for (int n = 0; n < OUT; n++) {
                    double sum = 0;
                    for (int k = 0; k < IN; k++) {
                        sum += (double) x[m * IN + k] * merged[n * IN + k];
                    }
                    assertThat((double) y[m * OUT + n]).isCloseTo(sum, within(1e-5));
                }
                for (int k = 0; k < IN; k++) {
                    double sum = 0;
                    for (int n = 0; n < OUT; n++) {
                        sum += (double) dy[m * OUT + n] * merged[n * IN + k];
                    }
                    assertThat((double) dx[m * IN + k]).isCloseTo(sum, within(1e-5));
                }
            }
            checkLowRankGradients(layer, a, b, s, dy);
        }
    }

    private void checkLowRankGradients(LoraLinear layer, float[] a, float[] b, float s, float[] dy) {
        float[] da = layer.gradientA();
        float[] db = layer.gradientB();
        for (int i = 0; i < RANK; i++) {
            for (int k = 0; k < IN; k++) {
                double sum = 0;
                for (int m = 0; m < ROWS; m++) {
                    double u = 0;
                    for (int n = 0; n < OUT; n++) {
                        u += (double) dy[m * OUT + n] * b[n * RANK + i];
                    }
                    sum += s * u * x[m * IN + k];
                }
                assertThat((double) da[i * IN + k]).isCloseTo(sum, within(1e-4));
            }
            for (int n = 0; n < OUT; n++) {
                double sum = 0;
                for (int m = 0; m < ROWS; m++) {
                    double h = 0;
                    for (int k = 0; k < IN; k++) {
                        h += (double) x[m * IN + k] * a[i * IN + k];
                    }
                    sum += s * dy[m * OUT + n] * h;
                }
                assertThat((double) db[n * RANK + i]).isCloseTo(sum, within(1e-4));
            }
        }
    }

    @Test
    void gradientsAddUpUntilTheyAreZeroed() {
        try (LoraLinear layer = randomLayer()) {
            float[] dy = TinyModels.normal(random, ROWS * OUT, 1);
            layer.forward(x, ROWS);
            layer.backward(dy);
            float[] once = layer.gradientA();
            layer.forward(x, ROWS);
            layer.backward(dy);
            float[] twice = layer.gradientA();
            for (int i = 0; i < once.length; i++) {
                assertThat(twice[i]).isCloseTo(2 * once[i], within(1e-5f));
            }
        }
    }

    @Test
    void learnsALowRankChangeAndLeavesTheWeightAlone() {
        float[] wanted = weight.clone();
        for (int n = 0; n < OUT; n++) {
            for (int k = 0; k < IN; k++) {
                wanted[n * IN + k] += (n - 2) * 0.2f * (k % 3 - 1);
            }
        }
        try (LoraLinear layer = layer(Precision.F32);
                Workspace workspace = new Workspace(engine)) {
            Optimizer optimizer = new Optimizer(layer.parameters(), workspace);
            long before = engine.fingerprint(layer.weight());
            double first = Double.NaN;
            double last = Double.NaN;
            for (int step = 1; step <= 150; step++) {
                float[] y = layer.forward(x, ROWS);
                last = 0;
                float[] dy = new float[y.length];
                for (int i = 0; i < y.length; i++) {
                    for (int k = 0; k < IN; k++) {
                        dy[i] -= x[i / OUT * IN + k] * wanted[i % OUT * IN + k];
                    }
                    dy[i] += y[i];
                    last += 0.5 * dy[i] * dy[i];
                }
                first = step == 1 ? last : first;
                layer.backward(dy);
                optimizer.step(engine, new AdamW(0.05, 0.9, 0.999, 1e-8, 0, step, 0));
            }
            assertThat(last).isLessThan(1e-3 * first);
            assertThat(engine.fingerprint(layer.weight())).isEqualTo(before);
        }
    }

    @Test
    void dropoutDrawsAMaskForEachPassAndTheSameForItsBackward() {
        LoraConfig config =
                LoraConfig.builder().rank(RANK).alpha(RANK).dropout(0.5).build();
        try (LoraLinear layer = LoraLinear.create(engine, Precision.F32, weight, OUT, IN, config, 5, ROWS)) {
            layer.setWeights(TinyModels.normal(random, RANK * IN, 0.5f), TinyModels.normal(random, OUT * RANK, 0.5f));
            float[] y1 = layer.forward(x, ROWS);
            float[] y2 = layer.forward(x, ROWS);
            assertThat(y1).isNotEqualTo(y2);
            // y is linear in x for a fixed mask, so Σ x dx = Σ (y) dy
            float[] dy = TinyModels.normal(random, ROWS * OUT, 1);
            float[] dx = layer.backward(dy);
            double left = 0;
            for (int i = 0; i < x.length; i++) {
                left += (double) x[i] * dx[i];
            }
            double right = 0;
            for (int i = 0; i < y2.length; i++) {
                right += (double) y2[i] * dy[i];
            }
            assertThat(left).isCloseTo(right, within(1e-4));
        }
    }

    @Test
    void bf16RoundsInsideAndMergesFromTheOriginal() {
        try (LoraLinear layer = layer(Precision.BF16)) {
            float[] y = layer.forward(x, ROWS);
            assertThat(layer.merge()).isEqualTo(weight);
            for (float value : y) {
                assertThat(value).isEqualTo(dev.graft.tensor.BFloat16.round(value));
            }
        }
    }

    @Test
    void misuseIsRefused() {
        assertThatThrownBy(() -> LoraLinear.create(engine, Precision.F32, weight, OUT, IN + 1, RANK, 6, 1, 8))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("35 numbers as [5, 8]");
        LoraLinear layer = layer(Precision.F32);
        assertThatThrownBy(() -> layer.backward(new float[OUT])).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> layer.forward(x, ROWS - 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> layer.forward(new float[9 * IN], 9)).isInstanceOf(IllegalArgumentException.class);
        layer.forward(x, ROWS);
        assertThatThrownBy(() -> layer.backward(new float[OUT])).isInstanceOf(IllegalArgumentException.class);
        layer.close();
        layer.close();
        assertThat(engine.availableBytes()).isEqualTo(new ReferenceEngine().availableBytes());
    }
}
