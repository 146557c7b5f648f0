//! Where files live (XDG Base Directory Specification 0.8).

use std::ffi::OsString;
use std::path::PathBuf;

use super::SettingsError;

/// Reads an environment variable; tests bring their own.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// `$XDG_CONFIG_HOME/parallax/config.toml`.
pub(crate) fn config_file(env: Environment<'_>) -> Result<PathBuf, SettingsError> {
    Ok(base(env, "XDG_CONFIG_HOME", ".config")?.join("parallax").join("config.toml"))
}

/// `$XDG_DATA_HOME/parallax`.
pub(crate) fn data_directory(env: Environment<'_>) -> Result<PathBuf, SettingsError> {
    Ok(base(env, "XDG_DATA_HOME", ".local/share")?.join("parallax"))
}

/// `$XDG_STATE_HOME/parallax`.
pub(crate) fn state_directory(env: Environment<'_>) -> Result<PathBuf, SettingsError> {
    Ok(base(env, "XDG_STATE_HOME", ".local/state")?.join("parallax"))
}

/// The specification: a variable that is empty or holds a relative path counts as not set.
fn base(env: Environment<'_>, variable: &'static str, below_home: &str) -> Result<PathBuf, SettingsError> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable)
        .or_else(|| absolute("HOME").map(|home| home.join(below_home)))
        .ok_or(SettingsError::NoHome { variable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xdg_first_then_home() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        let path = |pairs| config_file(&env(pairs)).map(|path| path.display().to_string()).map_err(|_| ());
        assert_eq!(path(&[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")]), Ok("/x/parallax/config.toml".into()));
        assert_eq!(path(&[("XDG_CONFIG_HOME", "x"), ("HOME", "/h")]), Ok("/h/.config/parallax/config.toml".into()));
        assert_eq!(path(&[("XDG_CONFIG_HOME", ""), ("HOME", "")]), Err(()));
        assert_eq!(
            data_directory(&env(&[("HOME", "/h")])).map(|path| path.display().to_string()).map_err(|_| ()),
            Ok("/h/.local/share/parallax".into())
        );
    }
}
