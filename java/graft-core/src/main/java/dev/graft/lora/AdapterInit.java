package dev.graft.lora;

import dev.graft.common.InputException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How A and B start. Either B is zero, and training starts exactly at the pre-trained model; or A and B take over a part of W0,
 * which then is frozen without that part, {@code W0 - s B₀ A₀}. That is the pre-trained model again, up to rounding: in bf16 the
 * difference and the factors are each rounded, so that the first loss is not quite the model's.
 */
public sealed interface AdapterInit {
    /** A ~ N(0, 1/r²), B = 0; PEFT's {@code init_lora_weights="gaussian"}. */
    AdapterInit GAUSSIAN = new Gaussian();

    /** A ~ U(±1/√in), B = 0; PEFT's default, {@code init_lora_weights=true}. */
    AdapterInit KAIMING = new Kaiming();

    /** The r leading singular directions of W0, by a full decomposition; PEFT's {@code "pissa"}. */
    AdapterInit PISSA = new Pissa();

    /** The first r columns of Q and rows of R of W0 = QR; PEFT's {@code "olora"}. */
    AdapterInit OLORA = new Olora();

    /** See {@link #GAUSSIAN}. */
    record Gaussian() implements AdapterInit {
        @Override
        public String toString() {
            return "gaussian";
        }
    }

    /** See {@link #KAIMING}. */
    record Kaiming() implements AdapterInit {
        @Override
        public String toString() {
            return "kaiming";
        }
    }

    /** See {@link #PISSA}. Source: Meng et al., "PiSSA: Principal Singular Values and Singular Vectors Adaptation" (2024). */
    record Pissa() implements AdapterInit {
        @Override
        public String toString() {
            return "pissa";
        }
    }

    /**
     * The r leading singular directions of W0, nearly: by subspace iteration from random directions, which is much faster; PEFT's
     * {@code "pissa_niter_N"}.
     *
     * @param iterations of W0ᵀ and W0 in turn
     */
    record RandomisedPissa(int iterations) implements AdapterInit {
        @Override
        public String toString() {
            return "pissa_niter_" + iterations;
        }
    }

    /** See {@link #OLORA}. Source: Büyükakyüz, "OLoRA: Orthonormal Low-Rank Adaptation of Large Language Models" (2024). */
    record Olora() implements AdapterInit {
        @Override
        public String toString() {
            return "olora";
        }
    }

    /** Whether A and B take over a part of W0, so that the adapter belongs to other frozen weights than the checkpoint's. */
    default boolean changesBase() {
        return switch (this) {
            case Gaussian gaussian -> false;
            case Kaiming kaiming -> false;
            case Pissa pissa -> true;
            case RandomisedPissa pissa -> true;
            case Olora olora -> true;
        };
    }

    /** Reads a flag's value. */
    static AdapterInit parse(String text) {
        Matcher randomised = Pattern.compile("pissa_niter_(\\d{1,4})").matcher(text);
        if (randomised.matches()) {
            return new RandomisedPissa(Integer.parseInt(randomised.group(1)));
        }
        return switch (text) {
            case "gaussian" -> GAUSSIAN;
            case "kaiming" -> KAIMING;
            case "pissa" -> PISSA;
            case "olora" -> OLORA;
            default ->
                throw new InputException("--init " + text
                        + ": use gaussian, kaiming, pissa, pissa_niter_N (N iterations, such as 16) or olora");
        };
    }
}
