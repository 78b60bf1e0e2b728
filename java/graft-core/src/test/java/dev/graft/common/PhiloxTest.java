package dev.graft.common;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PhiloxTest {
    /** The known answers of Random123 (kat_vectors, philox4x32 10). */
    @Test
    void givesThePublishedWords() {
        check(0L, new int[] {0, 0, 0, 0}, new int[] {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
        check(-1L, new int[] {-1, -1, -1, -1}, new int[] {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
        check(0x299f31d0_a4093822L, new int[] {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, new int[] {
            0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1
        });
    }

    private static void check(long seed, int[] counter, int[] expected) {
        int[] words = new int[4];
        new Philox(seed).words(counter[0], counter[1], counter[2], counter[3], words);
        assertThat(words).containsExactly(expected);
    }

    @Test
    void uniformNumbersLieInTheHalfOpenUnitInterval() {
        assertThat(Philox.toUniform(0)).isZero();
        assertThat(Philox.toUniform(0xff)).as("the low 8 bits do not count").isZero();
        assertThat(Philox.toUniform(0x100)).isEqualTo(0x1p-24f);
        assertThat(Philox.toUniform(0x80000000)).isEqualTo(0.5f);
        assertThat(Philox.toUniform(-1)).isEqualTo(1 - 0x1p-24f);
    }
}
