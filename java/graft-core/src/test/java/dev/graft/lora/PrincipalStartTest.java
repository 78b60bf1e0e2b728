package dev.graft.lora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.common.InputException;
import dev.graft.engine.Allocator;
import dev.graft.engine.PlanningAllocator;
import dev.graft.engine.Precision;
import dev.graft.engine.ReferenceEngine;
import dev.graft.testing.TinyModels;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What A and B take from a weight whose decomposition is known. */
class PrincipalStartTest {
    private static final double[] SIGMA = {8, 5, 2, 1, 0.25};

    private final Random random = new Random(4);

    private static LoraModule module(int out, int in, int rank, double alpha) {
        LoraConfig config = LoraConfig.builder().rank(rank).alpha(alpha).build();
        LinearModule layer = new LinearModule("layer", out, in, false);
        Allocator plan = new PlanningAllocator(new ReferenceEngine().bufferLayout());
        return LoraAdapter.create(
                        config, List.of(new TargetMatcher.Match(layer, rank, alpha)), plan, Precision.F32, false)
                .modules()
                .getFirst();
    }

    /** W = U diag(SIGMA) Vᵀ with its first {@code count} parts only. */
    private static float[] weight(double[] u, double[] v, int out, int in, int from, int to) {
        float[] w = new float[out * in];
        for (int i = 0; i < out; i++) {
            for (int j = 0; j < in; j++) {
                double sum = 0;
                for (int k = from; k < to; k++) {
                    sum += u[i * SIGMA.length + k] * SIGMA[k] * v[j * SIGMA.length + k];
                }
                w[i * in + j] = (float) sum;
            }
        }
        return w;
    }

    private double[] basis(int rows) {
        double[] x = random.doubles((long) rows * SIGMA.length, -1, 1).toArray();
        return Householder.orthonormal(x, rows, SIGMA.length);
    }

    static Stream<Arguments> shapes() {
        return Stream.of(AdapterInit.PISSA, new AdapterInit.RandomisedPissa(30))
                .flatMap(init -> Stream.of(
                        Arguments.of(init, 5, 5, 2, 6.0),
                        Arguments.of(init, 9, 6, 3, 1.0),
                        Arguments.of(init, 6, 130, 1, 2.0),
                        Arguments.of(init, 71, 6, 4, 5.0)));
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void pissaTakesTheLeadingSingularPartsAndLeavesTheRest(AdapterInit init, int out, int in, int rank, double alpha) {
        double[] u = basis(out);
        double[] v = basis(in);
        float[] w = weight(u, v, out, in, 0, SIGMA.length);
        LoraModule module = module(out, in, rank, alpha);
        LowRankFactors start = PrincipalStart.of(init, w, module, 3);
        for (int i = 0; i < rank; i++) {
            double ofA = 0;
            for (int j = 0; j < in; j++) {
                ofA += start.a()[i * in + j] * start.a()[i * in + j];
            }
            double ofB = 0;
            for (int j = 0; j < out; j++) {
                ofB += start.b()[j * rank + i] * start.b()[j * rank + i];
            }
            assertThat(ofA).as("A and B share each part alike").isCloseTo(SIGMA[i] / module.scale(), within(1e-5));
            assertThat(ofB).isCloseTo(SIGMA[i] / module.scale(), within(1e-5));
        }
        PrincipalStart.subtract(w, start, module);
        assertThat(w).containsExactly(weight(u, v, out, in, rank, SIGMA.length), within(3e-6f));
    }

    @Test
    void aSeedDecidesTheRandomDirections() {
        float[] w = TinyModels.normal(random, 9 * 7, 1);
        LoraModule module = module(9, 7, 3, 4);
        AdapterInit rough = new AdapterInit.RandomisedPissa(0);
        LowRankFactors first = PrincipalStart.of(rough, w, module, 1);
        assertThat(PrincipalStart.of(rough, w, module, 1).a()).isEqualTo(first.a());
        assertThat(PrincipalStart.of(rough, w, module, 2).a()).isNotEqualTo(first.a());
    }

    @Test
    void aWeightOfLowRankLeavesNothingAndNoNaN() {
        double[] u = basis(6);
        double[] v = basis(8);
        for (AdapterInit init : List.of(AdapterInit.PISSA, new AdapterInit.RandomisedPissa(2), AdapterInit.OLORA)) {
            for (float[] w : List.of(weight(u, v, 6, 8, 0, 2), new float[48])) {
                LoraModule module = module(6, 8, 4, 4);
                PrincipalStart.subtract(w, PrincipalStart.of(init, w, module, 0), module);
                assertThat(w).as(init.toString()).containsExactly(new float[48], within(2e-3f));
            }
        }
    }

    @Test
    void oloraHasTheSignsOfLapack() {
        float[] w = {3, 0, 1, 4, 5, -2};
        LoraModule module = module(2, 3, 2, 2);
        LowRankFactors start = PrincipalStart.of(AdapterInit.OLORA, w, module, 0);
        // numpy.linalg.qr([[3, 0, 1], [4, 5, -2]])
        assertThat(start.b()).containsExactly(new float[] {-0.6f, -0.8f, -0.8f, 0.6f}, within(1e-6f));
        assertThat(start.a()).containsExactly(new float[] {-5, -4, 1, 0, 3, -2}, within(1e-6f));
    }

    @ParameterizedTest
    @CsvSource({"7, 5, 3", "5, 7, 5", "66, 4, 4"})
    void oloraTakesTheFirstColumnsOfQAndRowsOfR(int out, int in, int rank) {
        float[] w = TinyModels.normal(random, out * in, 1);
        LoraModule module = module(out, in, rank, rank);
        LowRankFactors start = PrincipalStart.of(AdapterInit.OLORA, w, module, 0);
        PrincipalStart.subtract(w, start, module);
        for (int i = 0; i < rank; i++) {
            for (int row = 0; row < out; row++) {
                assertThat(w[row * in + i]).as("column %d is taken whole", i).isCloseTo(0, within(1e-5f));
            }
            for (int j = 0; j < i; j++) {
                assertThat(start.a()[i * in + j]).as("R is triangular").isCloseTo(0, within(1e-5f));
            }
            for (int j = 0; j <= i; j++) {
                double dot = 0;
                for (int row = 0; row < out; row++) {
                    dot += start.b()[row * rank + i] * start.b()[row * rank + j];
                }
                assertThat(dot).as("Q is orthonormal").isCloseTo(i == j ? 1 : 0, within(1e-6));
            }
        }
    }

    @Test
    void moreDirectionsThanThereAreIsRefusedInOneLine() {
        for (AdapterInit init : List.of(AdapterInit.PISSA, new AdapterInit.RandomisedPissa(2), AdapterInit.OLORA)) {
            assertThatThrownBy(() -> PrincipalStart.of(init, new float[12], module(3, 4, 4, 1), 0))
                    .isInstanceOf(InputException.class)
                    .hasMessageContaining("--rank 4: --init " + init)
                    .hasMessageContaining("layer, whose weight [3, 4] has 3")
                    .message()
                    .doesNotContain("\n");
        }
    }
}
