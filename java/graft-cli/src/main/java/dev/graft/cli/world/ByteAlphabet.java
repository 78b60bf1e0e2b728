package dev.graft.cli.world;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * GPT-2's alphabet for bytes: each of the 256 bytes has a visible character, its own where it has one (Latin-1), and
 * else one from U+0100 on, so that a token can be written in a JSON file. A space becomes Ġ.
 */
final class ByteAlphabet {
    /** Number of bytes. */
    static final int SIZE = 256;

    private static final int[] RANK_OF_BYTE = new int[SIZE];
    private static final List<String> SYMBOLS = build();

    private ByteAlphabet() {}

    /** The characters, those that stand for themselves first. */
    static List<String> symbols() {
        return SYMBOLS;
    }

    /** The UTF-8 bytes of a text, each as its index in {@link #symbols()}. */
    static int[] ranks(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int[] ranks = new int[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            ranks[i] = RANK_OF_BYTE[bytes[i] & 0xff];
        }
        return ranks;
    }

    private static List<String> build() {
        List<String> symbols = new ArrayList<>();
        for (int value = 0; value < SIZE; value++) {
            if (isVisible(value)) {
                RANK_OF_BYTE[value] = symbols.size();
                symbols.add(Character.toString(value));
            }
        }
        int substitute = SIZE;
        for (int value = 0; value < SIZE; value++) {
            if (!isVisible(value)) {
                RANK_OF_BYTE[value] = symbols.size();
                symbols.add(Character.toString(substitute++));
            }
        }
        return List.copyOf(symbols);
    }

    /** Printable ASCII but the space, and Latin-1 but the no-break space and the soft hyphen. */
    private static boolean isVisible(int value) {
        return value > ' ' && value <= '~' || value > 0xa0 && value != 0xad;
    }
}
