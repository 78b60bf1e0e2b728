package dev.graft.model;

import dev.graft.common.InputException;
import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * The decoder families that Graft computes, by Hugging Face's names, with the defaults that transformers assumes where
 * {@code config.json} leaves a field out.
 */
public enum Architecture {
    LLAMA("LlamaForCausalLM", "llama"),
    MISTRAL("MistralForCausalLM", "mistral"),
    QWEN2("Qwen2ForCausalLM", "qwen2"),
    QWEN3("Qwen3ForCausalLM", "qwen3");

    private final String className;
    private final String modelType;

    Architecture(String className, String modelType) {
        this.className = className;
        this.modelType = modelType;
    }

    /** As in {@code architectures} of config.json. */
    public String className() {
        return className;
    }

    /** As in {@code model_type} of config.json. */
    public String modelType() {
        return modelType;
    }

    /** @throws InputException for any other architecture, naming those there are */
    static Architecture of(String className, String where) {
        return Arrays.stream(values())
                .filter(candidate -> candidate.className.equals(className))
                .findFirst()
                .orElseThrow(() -> new InputException(where + ": architecture " + className
                        + " is not supported; Graft trains "
                        + Arrays.stream(values()).map(Architecture::className).collect(Collectors.joining(", "))));
    }
}
