package dev.graft.lora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.engine.AdamW;
import dev.graft.engine.Dropout;
import dev.graft.engine.Engine;
import dev.graft.engine.Matrix;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.engine.ReferenceLinear;
import dev.graft.engine.ReferenceRescale;
import dev.graft.engine.Workspace;
import dev.graft.testing.TinyModels;
import dev.graft.train.Optimizer;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** DoRA on a layer of its own: its formulas written out in float64. */
class DoraLinearTest {
    private static final int OUT = 5;
    private static final int IN = 7;
    private static final int ROWS = 6;
    private static final int RANK = 3;
    private static final long SEED = 1;

    private final Engine engine = new ReferenceEngine();
    private final Random random = new Random(3);
    private final Matrix weight = normal(OUT, IN, 0.5f);
    private final Matrix x = normal(ROWS, IN, 1);
    private final Matrix dy = normal(ROWS, OUT, 1);

    private Matrix normal(int rows, int cols, float std) {
        return Matrix.of(rows, cols, TinyModels.normal(random, rows * cols, std));
    }

    private static float[] floats(Matrix matrix) {
        float[] values = new float[matrix.values().length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) matrix.values()[i];
        }
        return values;
    }

    private LoraLinear layer(double dropout) {
        LoraConfig config = LoraConfig.builder()
                .rank(RANK)
                .alpha(2 * RANK)
                .dropout(dropout)
                .dora(true)
                .build();
        return LoraLinear.create(engine, Precision.F32, floats(weight), OUT, IN, config, SEED, 8);
    }

    private LoraLinear randomLayer(double dropout) {
        LoraLinear layer = layer(dropout);
        layer.setWeights(floats(normal(RANK, IN, 0.5f)), floats(normal(OUT, RANK, 0.5f)), floats(normal(1, OUT, 1.5f)));
        return layer;
    }

    private static void assertClose(String what, float[] actual, Matrix expected) {
        assertThat(actual).as(what).containsExactly(floats(expected), within(2e-5f));
    }

    @Test
    void startsAsTheFrozenWeightWithTheLengthsOfItsRows() {
        try (LoraLinear layer = layer(0)) {
            assertClose("y", layer.forward(floats(x), ROWS), ReferenceLinear.forward(x, weight, null));
            Matrix nothing = Matrix.zeros(RANK, IN);
            assertClose("m", layer.magnitude(), ReferenceRescale.rowNorms(weight, nothing, Matrix.zeros(OUT, RANK), 1));
            assertClose("merged", layer.merge(), weight);
            assertThat(layer.parameters().count()).isEqualTo((long) RANK * (OUT + IN) + OUT);
        }
    }

    /** {@code W = m / ‖V‖ · V} with V = W0 + s B A, and n = ‖V‖ a constant of the gradients. */
    @Test
    void outputsAndGradientsFollowTheFormulas() {
        try (LoraLinear layer = randomLayer(0)) {
            Terms terms = new Terms(layer);
            assertClose("y", layer.forward(floats(x), ROWS), ReferenceLinear.forward(x, terms.merged, null));
            assertClose("merged", layer.merge(), terms.merged);
            assertClose("dx", layer.backward(floats(dy)), ReferenceLinear.inputGradient(terms.merged, dy));
            ReferenceRescale.Gradients scaled = terms.gradients(x);
            assertClose("dm", layer.gradientMagnitude(), scaled.magnitude());
            ReferenceLinear.LoraGradients lora =
                    ReferenceLinear.loraBackward(x, terms.lora, ReferenceLinear.loraHidden(x, terms.lora), scaled.z());
            assertClose("dA", layer.gradientA(), lora.a());
            assertClose("dB", layer.gradientB(), lora.b());
        }
    }

    /** PEFT drops elements of the input of W0 + s B A as a whole, and lets what it dropped pass W0 alone. */
    @Test
    void dropoutTakesTheWholeInput() {
        try (LoraLinear layer = randomLayer(0.4)) {
            Terms terms = new Terms(layer);
            layer.forward(floats(x), ROWS);
            float[] y = layer.forward(floats(x), ROWS);
            Dropout second = new Dropout(0.4f, SEED, 1, 0);
            Matrix kept = ReferenceLinear.dropout(x, second);
            Matrix rest = x.plus(kept.scaled(-1));
            assertThat(kept.values()).contains(0);
            assertClose(
                    "y",
                    y,
                    ReferenceLinear.forward(kept, terms.merged, null)
                            .plus(ReferenceLinear.forward(rest, weight, null)));
            float[] dx = layer.backward(floats(dy));
            Matrix throughBoth = ReferenceLinear.dropout(ReferenceLinear.inputGradient(terms.merged, dy), second);
            Matrix throughBase = ReferenceLinear.inputGradient(weight, dy);
            assertClose(
                    "dx",
                    dx,
                    throughBoth
                            .plus(throughBase)
                            .plus(ReferenceLinear.dropout(throughBase, second).scaled(-1)));
            ReferenceRescale.Gradients scaled = terms.gradients(kept);
            assertClose("dm", layer.gradientMagnitude(), scaled.magnitude());
            ReferenceLinear.LoraGradients lora = ReferenceLinear.loraBackward(
                    kept, terms.lora, ReferenceLinear.loraHidden(kept, terms.lora), scaled.z());
            assertClose("dA", layer.gradientA(), lora.a());
            assertClose("dB", layer.gradientB(), lora.b());
        }
    }

    /** What the formulas are made of, in float64. */
    private final class Terms {
        final ReferenceLinear.Lora lora;
        final Matrix adapted;
        final Matrix norms;
        final Matrix magnitude;
        final Matrix merged;

        Terms(LoraLinear layer) {
            Matrix a = Matrix.of(RANK, IN, layer.a());
            Matrix b = Matrix.of(OUT, RANK, layer.b());
            lora = new ReferenceLinear.Lora(0, ROWS, a, b, layer.scale(), null);
            adapted = ReferenceRescale.adapted(weight, a, b, layer.scale());
            norms = ReferenceRescale.rowNorms(weight, a, b, layer.scale());
            magnitude = Matrix.of(1, OUT, layer.magnitude());
            merged = ReferenceRescale.forward(adapted.transposed(), magnitude, norms, null, null)
                    .transposed();
        }

        ReferenceRescale.Gradients gradients(Matrix input) {
            return ReferenceRescale.backward(dy, ReferenceLinear.forward(input, adapted, null), magnitude, norms);
        }
    }

    /** A step changes A and B, and the lengths of the rows with them. */
    @Test
    void theLengthsAreThoseOfTheLatestStep() {
        try (LoraLinear layer = randomLayer(0);
                Workspace workspace = new Workspace(engine)) {
            Optimizer optimizer = new Optimizer(layer.parameters(), workspace);
            for (int step = 1; step <= 3; step++) {
                layer.forward(floats(x), ROWS);
                layer.backward(floats(dy));
                optimizer.step(engine, new AdamW(0.05, 0.9, 0.999, 1e-8, 0, step, 0));
                assertClose(
                        "y after step " + step,
                        layer.forward(floats(x), ROWS),
                        ReferenceLinear.forward(x, new Terms(layer).merged, null));
            }
        }
    }

    @Test
    void aLayerWithoutDoraHasNoMagnitude() {
        try (LoraLinear layer =
                LoraLinear.create(engine, Precision.F32, floats(weight), OUT, IN, RANK, 6, SEED, ROWS)) {
            assertThatThrownBy(layer::magnitude).hasMessageContaining("DoRA");
        }
    }
}
