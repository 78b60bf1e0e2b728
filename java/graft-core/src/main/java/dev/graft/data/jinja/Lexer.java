package dev.graft.data.jinja;

import dev.graft.data.jinja.Token.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Splits a template into tokens as {@code jinja2.lexer} does with {@code trim_blocks} and {@code lstrip_blocks}: the newline
 * after a block or comment goes, and so does the blank before one that opens its line; {@code -} strips all whitespace on its side
 * and {@code +} switches stripping off.
 */
final class Lexer {
    private static final Pattern RAW_BEGIN = Pattern.compile("\\{%[-+]?\\s*raw\\s*(?:-%\\}\\s*|%\\})");
    private static final Pattern RAW_END =
            Pattern.compile("\\{%(?<sign>[-+]?)\\s*endraw\\s*(?:\\+%\\}|-%\\}\\s*|%\\}\\n?)");
    private static final Pattern FLOAT = Pattern.compile("\\d+(?:_\\d+)*(?:\\.\\d+(?:[eE][+-]?\\d+)?|[eE][+-]?\\d+)");
    private static final Pattern INTEGER = Pattern.compile("\\d+(?:_\\d+)*");
    private static final Pattern NAME = Pattern.compile("[\\p{L}_][\\p{L}\\p{N}_]*");
    private static final Pattern STRING =
            Pattern.compile("'[^'\\\\]*(?:\\\\.[^'\\\\]*)*'|\"[^\"\\\\]*(?:\\\\.[^\"\\\\]*)*\"", Pattern.DOTALL);
    private static final String[] OPERATORS = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=",
        ".", ":", "|", ",", ";"
    };

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int pos;
    private int line = 1;
    private int lineCountedTo;
    /** Whether {@link #pos} stands at the start of a line, so that a blank before the next block may go. */
    private boolean lineStarting = true;

    private Lexer(String source) {
        this.source = source;
    }

    static List<Token> tokenize(String template) {
        String source = template.replace("\r\n", "\n").replace('\r', '\n');
        if (source.endsWith("\n")) {
            source = source.substring(0, source.length() - 1); // keep_trailing_newline is off
        }
        return new Lexer(source).run();
    }

    private List<Token> run() {
        while (pos < source.length()) {
            int begin = nextTag(pos);
            if (begin < 0) {
                addData(source.substring(pos));
                pos = source.length();
                break;
            }
            String data = source.substring(pos, begin);
            char kind = source.charAt(begin + 1);
            char sign = begin + 2 < source.length() ? source.charAt(begin + 2) : ' ';
            addData(strip(data, sign, kind == '{'));
            lineStarting = false;
            Matcher raw = RAW_BEGIN.matcher(source).region(begin, source.length());
            pos = begin + (sign == '-' || sign == '+' ? 3 : 2);
            if (kind == '#') {
                comment();
            } else if (kind == '%' && raw.lookingAt()) {
                raw(raw.end());
            } else if (kind == '%') {
                add(Kind.BLOCK_BEGIN, "{%");
                inside(Kind.BLOCK_END, "%}");
            } else {
                add(Kind.VARIABLE_BEGIN, "{{");
                inside(Kind.VARIABLE_END, "}}");
            }
        }
        add(Kind.END, "");
        return tokens;
    }

    private int nextTag(int from) {
        for (int i = source.indexOf('{', from); i >= 0 && i + 1 < source.length(); i = source.indexOf('{', i + 1)) {
            if ("%{#".indexOf(source.charAt(i + 1)) >= 0) {
                return i;
            }
        }
        return -1;
    }

    private String strip(String data, char sign, boolean variable) {
        if (sign == '-') {
            return Strings.stripEnd(data);
        }
        if (sign != '+' && !variable) {
            int lineStart = data.lastIndexOf('\n') + 1;
            if ((lineStart > 0 || lineStarting) && Strings.isBlank(data, lineStart)) {
                return data.substring(0, lineStart);
            }
        }
        return data;
    }

    private void comment() {
        int close = source.indexOf("#}", pos);
        if (close < 0) {
            throw JinjaException.at(currentLine(), "comment is never closed");
        }
        char before = close > pos ? source.charAt(close - 1) : ' ';
        pos = close + 2;
        finishTag(before, true);
    }

    private void raw(int contentStart) {
        Matcher end = RAW_END.matcher(source);
        if (!end.find(contentStart)) {
            throw JinjaException.at(currentLine(), "raw block is never closed");
        }
        String sign = end.group("sign");
        addData(strip(source.substring(contentStart, end.start()), sign.isEmpty() ? ' ' : sign.charAt(0), false));
        pos = end.end();
        lineStarting = source.charAt(pos - 1) == '\n';
    }

    /** Applies what the sign before a closing tag asks for to the text after it. */
    private void finishTag(char sign, boolean trimNewline) {
        if (sign == '-') {
            while (pos < source.length() && Strings.isSpace(source.charAt(pos))) {
                pos++;
            }
        } else if (sign != '+' && trimNewline && pos < source.length() && source.charAt(pos) == '\n') {
            pos++;
        }
        lineStarting = source.charAt(pos - 1) == '\n';
    }

    /** Lexes expression tokens up to the closing tag; a closing tag inside open brackets is not one. */
    private void inside(Kind closing, String tag) {
        Deque<Character> brackets = new ArrayDeque<>();
        int opened = currentLine();
        while (pos < source.length()) {
            char c = source.charAt(pos);
            if (Strings.isSpace(c)) {
                pos++;
                continue;
            }
            if (brackets.isEmpty()) {
                boolean signed = c == '-' || (c == '+' && closing == Kind.BLOCK_END);
                if (source.startsWith(tag, signed ? pos + 1 : pos)) {
                    add(closing, tag);
                    pos += signed ? 3 : 2;
                    finishTag(signed ? c : ' ', closing == Kind.BLOCK_END);
                    return;
                }
            }
            expressionToken(brackets);
        }
        throw JinjaException.at(opened, "'" + tag + "' is missing");
    }

    private void expressionToken(Deque<Character> brackets) {
        if (match(FLOAT, Kind.FLOAT) || match(INTEGER, Kind.INTEGER) || match(NAME, Kind.NAME)) {
            return;
        }
        Matcher string = STRING.matcher(source).region(pos, source.length());
        if (string.lookingAt()) {
            String quoted = string.group();
            add(Kind.STRING, Strings.unescape(quoted.substring(1, quoted.length() - 1)));
            pos = string.end();
            return;
        }
        for (String operator : OPERATORS) {
            if (source.startsWith(operator, pos)) {
                balance(brackets, operator);
                add(Kind.OPERATOR, operator);
                pos += operator.length();
                return;
            }
        }
        throw JinjaException.at(currentLine(), "unexpected character '" + source.charAt(pos) + "'");
    }

    private void balance(Deque<Character> brackets, String operator) {
        switch (operator) {
            case "(" -> brackets.push(')');
            case "[" -> brackets.push(']');
            case "{" -> brackets.push('}');
            case ")", "]", "}" -> {
                if (brackets.isEmpty() || brackets.pop() != operator.charAt(0)) {
                    throw JinjaException.at(currentLine(), "unexpected '" + operator + "'");
                }
            }
            default -> {}
        }
    }

    private boolean match(Pattern pattern, Kind kind) {
        Matcher matcher = pattern.matcher(source).region(pos, source.length());
        if (!matcher.lookingAt()) {
            return false;
        }
        add(kind, kind == Kind.NAME ? matcher.group() : matcher.group().replace("_", ""));
        pos = matcher.end();
        return true;
    }

    private void addData(String data) {
        if (!data.isEmpty()) {
            add(Kind.DATA, data);
        }
    }

    private void add(Kind kind, String text) {
        tokens.add(new Token(kind, text, currentLine()));
    }

    private int currentLine() {
        for (; lineCountedTo < pos; lineCountedTo++) {
            if (source.charAt(lineCountedTo) == '\n') {
                line++;
            }
        }
        return line;
    }
}
