package dev.graft.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tables against values of transformers 5.18's LlamaRotaryEmbedding, pairs 0, 1, D/4 and D/2 - 1. */
class RopeTest {
    private static final RopeScaling DYNAMIC = new RopeScaling.Dynamic(3, 100);

    static Stream<Arguments> references() {
        Rope none = new Rope(10000, 16, new RopeScaling.None());
        Rope large = new Rope(1000000, 12, new RopeScaling.None());
        Rope linear = new Rope(10000, 16, new RopeScaling.Linear(2.5));
        Rope dynamic = new Rope(10000, 16, DYNAMIC);
        Rope llama3 = new Rope(500000, 64, new RopeScaling.Llama3(8, 1, 4, 8192));
        Rope yarn = new Rope(
                10000, 64, new RopeScaling.Yarn(4, 32, 1, RopeScaling.Yarn.suggestedAttentionFactor(4, 1), 2048, true));
        double mscale =
                RopeScaling.Yarn.suggestedAttentionFactor(40, 1) / RopeScaling.Yarn.suggestedAttentionFactor(40, 0.5);
        Rope yarnMscale = new Rope(10000, 32, new RopeScaling.Yarn(40, 16, 2, mscale, 4096, false));
        return Stream.of(
                reference(
                        none,
                        0,
                        37,
                        0.7654141,
                        0.6479217,
                        0.9323273,
                        0.9999316,
                        -0.6435381,
                        -0.7617069,
                        0.3616154,
                        0.0117002),
                reference(
                        none,
                        0,
                        1000,
                        0.5623791,
                        -0.4773979,
                        -0.8390715,
                        0.9504153,
                        0.8268796,
                        0.8786872,
                        -0.5440211,
                        0.3109836),
                reference(
                        large,
                        0,
                        37,
                        0.7654141,
                        -0.8481001,
                        0.9993156,
                        0.9999999,
                        -0.6435381,
                        -0.529836,
                        0.0369916,
                        0.00037),
                reference(
                        linear,
                        0,
                        37,
                        -0.6153526,
                        -0.0322129,
                        0.989068,
                        0.999989,
                        0.7882519,
                        -0.999481,
                        0.1474603,
                        0.0046802),
                reference(
                        linear,
                        0,
                        1000,
                        -0.5252963,
                        0.6767992,
                        -0.6536438,
                        0.9920107,
                        -0.8509194,
                        0.7361677,
                        -0.7568023,
                        0.1261541),
                reference(
                        dynamic,
                        50,
                        49,
                        0.3005925,
                        -0.9774427,
                        0.8823329,
                        0.99988,
                        -0.9537526,
                        0.2112007,
                        0.4706259,
                        0.0154945),
                reference(
                        dynamic,
                        101,
                        100,
                        0.8623189,
                        0.9972929,
                        0.5543196,
                        0.9995288,
                        -0.5063657,
                        0.0735319,
                        0.8323039,
                        0.0306969),
                reference(
                        dynamic,
                        250,
                        249,
                        -0.6864646,
                        0.4439321,
                        0.5897756,
                        0.9998975,
                        -0.7271632,
                        -0.8960605,
                        0.8075672,
                        0.014316),
                reference(
                        llama3, 0, 37, 0.7654141, 0.83674, 0.9998115, 1.0, -0.6435381, -0.5476004, 0.0194181, 1.39e-05),
                reference(
                        llama3,
                        0,
                        1000,
                        0.5623791,
                        -0.7483619,
                        0.8654011,
                        0.9999999,
                        0.8268796,
                        -0.6632907,
                        0.5010797,
                        0.0003767),
                reference(
                        yarn,
                        0,
                        37,
                        0.871523,
                        -0.9834247,
                        1.1161064,
                        1.1386286,
                        -0.7327514,
                        0.5738929,
                        0.2253523,
                        0.0014045),
                reference(
                        yarn,
                        0,
                        1000,
                        0.6403413,
                        -0.6656346,
                        0.7090577,
                        1.1379968,
                        0.9415094,
                        0.9238006,
                        -0.8909063,
                        0.0379526),
                reference(
                        yarnMscale,
                        0,
                        37,
                        0.8846059,
                        -0.4354094,
                        1.1293017,
                        1.155722,
                        -0.7437512,
                        1.0705663,
                        0.2457052,
                        0.0001901),
                reference(
                        yarnMscale,
                        0,
                        1000,
                        0.6499538,
                        -1.1557138,
                        1.0180509,
                        1.1557106,
                        0.9556429,
                        0.0043645,
                        -0.5470518,
                        0.005138));
    }

    private static Arguments reference(Rope rope, int length, int position, double... cosThenSin) {
        return Arguments.of(rope, length, position, cosThenSin);
    }

    @ParameterizedTest
    @MethodSource("references")
    void tablesEqualThoseOfTransformers(Rope rope, int length, int position, double[] cosThenSin) {
        float[] table = rope.table(position + 1, length);
        int half = rope.headDim() / 2;
        int[] pairs = {0, 1, half / 2, half - 1};
        int row = position * rope.headDim();
        // an angle of 1000 rad is known to 6e-5 in float32, and may be one unit off between two power functions
        double tolerance = 1e-6 + position * 2.4e-7;
        for (int i = 0; i < 4; i++) {
            assertThat((double) table[row + pairs[i]])
                    .as("cosine of pair " + pairs[i])
                    .isCloseTo(cosThenSin[i], within(tolerance));
            assertThat((double) table[row + half + pairs[i]])
                    .as("sine of pair " + pairs[i])
                    .isCloseTo(cosThenSin[4 + i], within(tolerance));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 50, 100})
    void dynamicScalingLeavesShortSequencesAlone(int length) {
        float[] plain = new Rope(10000, 16, new RopeScaling.None()).table(100, length);
        assertThat(new Rope(10000, 16, DYNAMIC).table(100, length)).isEqualTo(plain);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 7})
    void oddHeadsAreRefused(int headDim) {
        assertThatThrownBy(() -> new Rope(10000, headDim, new RopeScaling.None()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("even head_dim");
    }
}
