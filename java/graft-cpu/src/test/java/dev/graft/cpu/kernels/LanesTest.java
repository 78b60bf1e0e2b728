package dev.graft.cpu.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.tensor.BFloat16;
import java.util.Random;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class LanesTest {
    private static final float[] AWKWARD = {
        0f,
        -0f,
        1f,
        -1f,
        Float.MIN_VALUE,
        -Float.MIN_VALUE,
        Float.MIN_NORMAL,
        Float.MAX_VALUE,
        -Float.MAX_VALUE,
        Float.POSITIVE_INFINITY,
        Float.NEGATIVE_INFINITY,
        Float.NaN,
        Float.intBitsToFloat(0x7f800001), // a NaN whose upper half alone would be infinity
        Float.intBitsToFloat(0xffffffff),
        Float.intBitsToFloat(0x3f808000), // half way, to even below
        Float.intBitsToFloat(0x3f818000), // half way, to even above
        88.72f,
        88.73f,
        -87.34f,
        -103.9f,
        -104f
    };

    @Test
    void expIsWithinTwoUlps() {
        double worst = 0;
        for (float x = -87.3f; x < 88.7f; x += 0.00437f) {
            float actual = exp(x);
            double expected = Math.exp(x);
            worst = Math.max(worst, Math.abs(actual - expected) / Math.ulp((float) expected));
        }
        assertThat(worst).isLessThan(1.5);
    }

    @Test
    void expOfSmallResultsIsWithinOneStep() {
        for (float x = -110f; x < -87f; x += 0.0137f) {
            assertThat((double) exp(x)).as("exp(%s)", x).isCloseTo(Math.exp(x), within(1.5 * Float.MIN_VALUE));
        }
    }

    @Test
    void expAtTheEnds() {
        assertThat(exp(Float.NEGATIVE_INFINITY)).isEqualTo(0f);
        assertThat(exp(-1e30f)).isEqualTo(0f);
        assertThat(exp(Float.POSITIVE_INFINITY)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(exp(88.73f)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(exp(88.72f)).isLessThan(Float.POSITIVE_INFINITY);
        assertThat(exp(Float.NaN)).isNaN();
        assertThat(exp(0f)).isEqualTo(1f);
        assertThat(exp(-0f)).isEqualTo(1f);
    }

    @Test
    void narrowAndWidenAreBfloat16() {
        Random random = new Random(3);
        for (int i = 0; i < 20_000; i++) {
            float value = i < AWKWARD.length ? AWKWARD[i] : Float.intBitsToFloat(random.nextInt());
            short bits = Lanes.narrow(FloatVector.broadcast(Lanes.FLOAT, value)).lane(Lanes.COUNT - 1);
            assertThat(bits).as("bits of %s", value).isEqualTo(BFloat16.fromFloat(value));
            float wide = Lanes.widen(Lanes.narrow(FloatVector.broadcast(Lanes.FLOAT, value)))
                    .lane(0);
            assertThat(Float.floatToIntBits(wide)).isEqualTo(Float.floatToIntBits(BFloat16.round(value)));
        }
    }

    @Test
    void sumAddsEveryLaneOnce() {
        FloatVector powers = FloatVector.zero(Lanes.FLOAT);
        for (int i = 0; i < Lanes.COUNT; i++) {
            powers = powers.withLane(i, 1 << i);
        }
        assertThat(Lanes.sum(powers)).isEqualTo((1 << Lanes.COUNT) - 1);
    }

    @Test
    void largerPassesOverNaN() {
        FloatVector nan = FloatVector.broadcast(Lanes.FLOAT, Float.NaN);
        FloatVector two = FloatVector.broadcast(Lanes.FLOAT, 2f);
        assertThat(Lanes.larger(two, nan).lane(0)).isEqualTo(2f);
        assertThat(Lanes.larger(two, two.add(1f)).lane(0)).isEqualTo(3f);
        assertThat(Lanes.larger(two, two.sub(1f)).lane(0)).isEqualTo(2f);
    }

    private static float exp(float x) {
        return Lanes.exp(FloatVector.broadcast(Lanes.FLOAT, x)).lane(Lanes.COUNT - 1);
    }

    private static org.assertj.core.data.Offset<Double> within(double distance) {
        return org.assertj.core.data.Offset.offset(distance);
    }
}
