package dev.graft.lora;

import dev.graft.common.InputException;

/** How A starts. B always starts at zero, so that training starts exactly at the pre-trained model. */
public enum AdapterInit {
    /** A ~ N(0, 1/r²); PEFT's {@code init_lora_weights="gaussian"}. */
    GAUSSIAN,
    /** A ~ U(±1/√in); PEFT's default, {@code init_lora_weights=true}. */
    KAIMING;

    /** Reads a flag's value. */
    public static AdapterInit parse(String text) {
        return switch (text) {
            case "gaussian" -> GAUSSIAN;
            case "kaiming" -> KAIMING;
            default -> throw new InputException("--init " + text + ": use gaussian or kaiming");
        };
    }
}
