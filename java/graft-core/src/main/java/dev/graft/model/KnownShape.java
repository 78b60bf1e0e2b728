package dev.graft.model;

import dev.graft.common.InputException;
import dev.graft.nn.Rope;
import dev.graft.nn.RopeScaling;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;

/** Shapes of well-known models, for benchmarks on random weights. */
public enum KnownShape {
    SMOLLM2_135M("smollm2-135m", Architecture.LLAMA, 49152, 576, 1536, 30, 9, 3, 64, 100000, 8192, true),
    SMOLLM2_360M("smollm2-360m", Architecture.LLAMA, 49152, 960, 2560, 32, 15, 5, 64, 100000, 8192, true),
    QWEN2_5_0_5B("qwen2.5-0.5b", Architecture.QWEN2, 151936, 896, 4864, 24, 14, 2, 64, 1000000, 32768, true),
    QWEN2_5_1_5B("qwen2.5-1.5b", Architecture.QWEN2, 151936, 1536, 8960, 28, 12, 2, 128, 1000000, 32768, true),
    QWEN3_0_6B("qwen3-0.6b", Architecture.QWEN3, 151936, 1024, 3072, 28, 16, 8, 128, 1000000, 40960, true),
    TINYLLAMA_1_1B("tinyllama-1.1b", Architecture.LLAMA, 32000, 2048, 5632, 22, 32, 4, 64, 10000, 2048, false),
    LLAMA3_2_1B("llama3.2-1b", Architecture.LLAMA, 128256, 2048, 8192, 16, 32, 8, 64, 500000, 131072, true),
    LLAMA3_2_3B("llama3.2-3b", Architecture.LLAMA, 128256, 3072, 8192, 28, 24, 8, 128, 500000, 131072, true),
    MISTRAL_7B("mistral-7b", Architecture.MISTRAL, 32768, 4096, 14336, 32, 32, 8, 128, 1000000, 32768, false),
    LLAMA3_1_8B("llama3.1-8b", Architecture.LLAMA, 128256, 4096, 14336, 32, 32, 8, 128, 500000, 131072, false),
    LLAMA3_1_70B("llama3.1-70b", Architecture.LLAMA, 128256, 8192, 28672, 80, 64, 8, 128, 500000, 131072, false);

    private final String label;
    private final DecoderConfig config;

    KnownShape(
            String label,
            Architecture architecture,
            int vocabulary,
            int hidden,
            int intermediate,
            int layers,
            int heads,
            int keyValueHeads,
            int headDim,
            double theta,
            int maxPositions,
            boolean tied) {
        this.label = label;
        this.config = new DecoderConfig(
                architecture,
                vocabulary,
                hidden,
                intermediate,
                layers,
                heads,
                keyValueHeads,
                headDim,
                1e-5f,
                new Rope(theta, headDim, new RopeScaling.None()),
                maxPositions,
                tied,
                architecture == Architecture.QWEN2,
                false,
                false,
                architecture == Architecture.QWEN3,
                Collections.nCopies(layers, 0),
                List.of());
    }

    public DecoderConfig config() {
        return config;
    }

    /** As typed after {@code --shape}. */
    public String label() {
        return label;
    }

    /** @throws InputException for an unknown name, listing those there are */
    public static KnownShape of(String label) {
        return Arrays.stream(values())
                .filter(shape -> shape.label().equals(label))
                .findFirst()
                .orElseThrow(() -> new InputException("--shape " + label + ": unknown; there are "
                        + Arrays.stream(values()).map(KnownShape::label).collect(Collectors.joining(", "))));
    }
}
