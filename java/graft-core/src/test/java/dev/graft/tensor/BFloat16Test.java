package dev.graft.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BFloat16Test {
    @Test
    void everyBFloat16SurvivesTheRoundTrip() {
        for (int bits = 0; bits < 65536; bits++) {
            float value = BFloat16.toFloat((short) bits);
            int back = BFloat16.fromFloat(value) & 0xffff;
            if (Float.isNaN(value)) {
                assertThat(back).isEqualTo(bits | 0x40);
            } else {
                assertThat(back).isEqualTo(bits);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        // float32 bits, bfloat16 bits
        "3f800000, 3f80",
        "3f807fff, 3f80",
        "3f808000, 3f80", // a tie goes to the even neighbour below
        "3f808001, 3f81",
        "3f818000, 3f82", // a tie goes to the even neighbour above
        "bf818000, bf82",
        "3fffffff, 4000", // the carry runs into the exponent
        "7f7fffff, 7f80", // beyond the largest: infinity
        "7f7f7fff, 7f7f",
        "7f800000, 7f80",
        "ff800000, ff80",
        "00000001, 0000", // denormals
        "00008000, 0000",
        "00008001, 0001",
        "00018000, 0002",
        "80000000, 8000",
        "7f800001, 7fc0", // a NaN whose payload lies in the lost bits alone
        "ffc12345, ffc1"
    })
    void roundsToNearestEven(String floatBits, String expected) {
        float value = Float.intBitsToFloat(Integer.parseUnsignedInt(floatBits, 16));
        assertThat(BFloat16.fromFloat(value) & 0xffff).isEqualTo(Integer.parseInt(expected, 16));
    }

    @Test
    void noNeighbourIsNearer() {
        Random random = new Random(1);
        for (int i = 0; i < 100_000; i++) {
            float value = Float.intBitsToFloat(random.nextInt());
            if (!(Math.abs(value) < 0x1p127f && Math.abs(value) > 0x1p-133f)) {
                continue;
            }
            float rounded = BFloat16.round(value);
            int bits = BFloat16.fromFloat(value);
            double distance = Math.abs((double) rounded - value);
            assertThat(distance)
                    .isLessThanOrEqualTo(Math.abs((double) BFloat16.toFloat((short) (bits + 1)) - value))
                    .isLessThanOrEqualTo(Math.abs((double) BFloat16.toFloat((short) (bits - 1)) - value));
        }
    }
}
